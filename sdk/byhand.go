package sdk

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-dev/berth/sdk/provider"
)

// The exit statuses of a plugin's binary that a person runs; those of the command berth.
const (
	StatusDone   = 0
	StatusFailed = 1 // or refused, or run without a verb
	StatusUsage  = 2 // the command line, or a file that it names, can't be read
)

// Verb is something that a plugin's binary does when a person runs it. Every plugin has
// describe, validate and help; [Serve] takes more.
type Verb struct {
	Name string // the word on the command line
	Args string // what follows it: "FILE|-"; "" for nothing
	Doc  string // one line
	Run  func(ctx context.Context, h Hand) int
}

// Hand is the command line of a person who runs a plugin's binary.
type Hand struct {
	Plugin provider.Plugin
	Args   []string // after the verb
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
}

// fail tells what is wrong and returns status.
func (h Hand) fail(status int, format string, args ...any) int {
	fmt.Fprintf(h.Err, format+"\n", args...)
	return status
}

// byHand is the plugin's binary without a host. args[0] is the binary.
func byHand(ctx context.Context, h Hand, args []string, more []Verb) int {
	name := filepath.Base(args[0])
	verbs := append([]Verb{
		{"describe", "[-o text|json] [FILE|-]", "who this is: name, version, protocol, capabilities, settings", describe},
		{"validate", "[-o text|json] FILE|-", "check settings, in JSON, without a host and without a backend", validate},
	}, more...)
	explain := func(w io.Writer) {
		fmt.Fprintf(w, "%s is a plugin of Berth. A host starts it: name it in a provider block, and run berth serve.\nBy hand it knows these verbs:\n\n", name)
		width := len("help")
		for _, v := range verbs {
			width = max(width, len(strings.TrimSpace(v.Name+" "+v.Args)))
		}
		for _, v := range append(slices.Clone(verbs), Verb{Name: "help", Doc: "these words"}) {
			fmt.Fprintf(w, "  %-*s  %s\n", width, strings.TrimSpace(v.Name+" "+v.Args), v.Doc)
		}
		fmt.Fprintf(w, "\nThe exit status is 0 when it is done, 1 when it failed or was refused, 2 when the command\nline, or a file that it names, can't be read.\n")
	}
	if len(args) < 2 {
		explain(h.Err)
		return StatusFailed
	}
	switch args[1] {
	case "help", "-h", "-help", "--help":
		explain(h.Out)
		return StatusDone
	}
	i := slices.IndexFunc(verbs, func(v Verb) bool { return v.Name == args[1] })
	if i < 0 {
		return h.fail(StatusUsage, "%s: there is no verb %q; %s help lists them", name, args[1], name)
	}
	h.Args = args[2:]
	return verbs[i].Run(ctx, h)
}

// output takes "-o text|json" out of the arguments.
func (h Hand) output(verb string) (json bool, rest []string, err error) {
	for i := 0; i < len(h.Args); i++ {
		arg := h.Args[i]
		value, joined := strings.CutPrefix(arg, "-o=")
		switch {
		case joined:
		case arg == "-o" && i+1 < len(h.Args):
			i++
			value = h.Args[i]
		case arg == "-o":
			return false, nil, fmt.Errorf("%s: -o wants text or json after it", verb)
		case arg != "-" && strings.HasPrefix(arg, "-"):
			return false, nil, fmt.Errorf("%s: there is no flag %s", verb, arg)
		default:
			rest = append(rest, arg)
			continue
		}
		if value != "text" && value != "json" {
			return false, nil, fmt.Errorf("%s: -o %s: give text or json", verb, value)
		}
		json = value == "json"
	}
	return json, rest, nil
}
