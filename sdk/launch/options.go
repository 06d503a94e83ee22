package launch

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// The defaults of Options.
const (
	DefaultStartTimeout = 20 * time.Second
	DefaultDrainTimeout = 5 * time.Second
	DefaultTermTimeout  = 3 * time.Second
)

// Options say what to start, and where. Name, Path, CacheDir and RunDir are required.
type Options struct {
	Name   string // of the provider, for people: in logs and errors
	Path   string // the binary, absolute
	SHA256 string // 64 hexadecimal digits that the binary must have; "" for any
	Args   []string

	CacheDir string // holds the copies that are executed; made with mode 0700
	RunDir   string // for sockets: exists, mode 0700; see [PrepareRunDir] and [TempRunDir]

	// Env is the complete environment, "KEY=value" each. Nothing of the host's own leaks
	// into it. See [Environment].
	Env []string

	Logger         *slog.Logger         // hears what the plugin logs; nil for none
	TracerProvider trace.TracerProvider // records the calls; nil for none

	StartTimeout time.Duration // from the launch to the end of the handshake
	DrainTimeout time.Duration // for the calls in flight, in Close
	TermTimeout  time.Duration // between SIGTERM and SIGKILL, in Close
}

// checked returns o with its defaults, or why it can't work.
func (o Options) checked() (Options, error) {
	fail := func(format string, args ...any) (Options, error) {
		return o, &Error{Reason: InvalidOptions, Name: o.Name, Path: o.Path, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case o.Name == "":
		return fail("Name is empty: give the provider's name")
	case !filepath.IsAbs(o.Path):
		return fail("Path %q is not absolute: give the binary's full path", o.Path)
	case !filepath.IsAbs(o.CacheDir):
		return fail("CacheDir %q is not absolute", o.CacheDir)
	case !filepath.IsAbs(o.RunDir):
		return fail("RunDir %q is not absolute", o.RunDir)
	case o.StartTimeout < 0 || o.DrainTimeout < 0 || o.TermTimeout < 0:
		return fail("a timeout is negative")
	}
	if o.SHA256 != "" {
		o.SHA256 = strings.ToLower(o.SHA256)
		if b, err := hex.DecodeString(o.SHA256); err != nil || len(b) != 32 {
			return fail("sha256 %q is no SHA-256: give 64 hexadecimal digits", o.SHA256)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		at *time.Duration
		or time.Duration
	}{{&o.StartTimeout, DefaultStartTimeout}, {&o.DrainTimeout, DefaultDrainTimeout}, {&o.TermTimeout, DefaultTermTimeout}} {
		if *d.at == 0 {
			*d.at = d.or
		}
	}
	return o, nil
}

func (o Options) fail(reason Reason, cause error, format string, args ...any) *Error {
	return &Error{Reason: reason, Name: o.Name, Path: o.Path, Message: fmt.Sprintf(format, args...), Err: cause}
}
