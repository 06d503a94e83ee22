package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/berth-dev/berth/sdk/provider"
)

// Bounds on a file. HCL's parser calls itself for each level of nesting.
const (
	maxFileBytes = 1 << 20
	maxNesting   = 64
	maxChain     = 1024
)

// Option changes how a file is read.
type Option func(*system)

// system is what a file's meaning depends on beside its text.
type system struct {
	lookup func(string) (string, bool)
	goos   string
	uid    int
}

// WithEnv makes the function env, and the default of state_dir, ask lookup instead of
// the process's environment.
func WithEnv(lookup func(name string) (value string, set bool)) Option {
	return func(s *system) { s.lookup = lookup }
}

// Load reads the file at path. The Config is nil when the diagnostics have errors; those
// that have none are also in Config.Warnings.
func Load(path string, opts ...Option) (*Config, Diagnostics) {
	src, err := read(path)
	if err != nil {
		return nil, Diagnostics{{Severity: provider.SeverityError, File: path, Summary: "the configuration can't be read: " + err.Error(), Detail: readRemedy(err)}}
	}
	return Parse(src, path, opts...)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	return src, cause(err)
}

// cause drops the path from a file error, for it is named already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func readRemedy(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "Name the file with --config."
	}
	return ""
}

// Parse reads a file's text; filename is what the diagnostics call it. See [Load].
func Parse(src []byte, filename string, opts ...Option) (*Config, Diagnostics) {
	sys := system{lookup: os.LookupEnv, goos: runtime.GOOS, uid: os.Geteuid()}
	for _, o := range opts {
		o(&sys)
	}
	r := &reader{report: &report{file: &file{name: filename, src: src}}, system: sys}
	r.constants = &hcl.EvalContext{Functions: map[string]function.Function{"env": environment(sys.lookup)}}
	if !r.parse() {
		return nil, r.diags.sorted()
	}
	harden(r.report, r.file.body)
	r.references()
	cfg := r.config()
	diags := r.diags.sorted()
	if diags.HasErrors() {
		return nil, diags
	}
	cfg.Warnings = diags
	return cfg, diags
}

// parse makes the file's body. It is not ok when the text is no HCL at all.
func (r *reader) parse() bool {
	if len(r.file.src) > maxFileBytes {
		r.diags = append(r.diags, Diagnostic{Severity: provider.SeverityError, File: r.file.name, Summary: fmt.Sprintf("the file must be at most %d bytes", maxFileBytes)})
		return false
	}
	start := hcl.Pos{Line: 1, Column: 1}
	tokens, _ := hclsyntax.LexConfig(r.file.src, r.file.name, start) // its findings come again below
	r.hidden = quotedInConfig(tokens)
	if rng, deep := nesting(tokens); deep {
		r.fail(rng, "the text is nested too deep", fmt.Sprintf("Braces and brackets may be nested %d deep, and an expression may have %d operators.", maxNesting, maxChain))
		return false
	}
	f, diags := hclsyntax.ParseConfig(r.file.src, r.file.name, start)
	if diags.HasErrors() {
		r.hcl(firstFaults(diags))
		return false
	}
	r.file.body = f.Body.(*hclsyntax.Body)
	r.hidden = configValues(r.file.body)
	return true
}
