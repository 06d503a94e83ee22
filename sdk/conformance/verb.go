// Package conformance is the verb by which a plugin's binary puts itself to the conformance
// suite, package [github.com/berth-dev/berth/sdk/providertest/suite]. It is a package of its
// own, because it launches plugins as a host does: a plugin that leaves it out does not
// compile that.
//
//	func main() { sdk.Serve(Plugin(), conformance.Verb(suite.Options{})) }
package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/internal/settings"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

const name = "conformance"

// Verb runs every check that fits against the binary itself, on the backend that the
// settings name. opts are what the author knows of the provider; what the settings hold wins:
// config, and of the one template what a sandbox is made from.
func Verb(opts suite.Options) sdk.Verb {
	return sdk.Verb{Name: name, Args: "[FILE|-]", Doc: "put this provider to the conformance suite, on the backend that the settings name",
		Run: func(ctx context.Context, h sdk.Hand) int {
			suite.ActAsHost() // where the suite has started it as one
			return run(ctx, h, opts)
		}}
}

func run(ctx context.Context, h sdk.Hand, opts suite.Options) int {
	fail := func(status int, format string, args ...any) int {
		fmt.Fprintf(h.Err, name+": "+format+"\n", args...)
		return status
	}
	if len(h.Args) > 1 || len(h.Args) == 1 && h.Args[0] != "-" && strings.HasPrefix(h.Args[0], "-") {
		return fail(sdk.StatusUsage, "give one FILE with settings, as for validate, or - for standard input")
	}
	var given sdk.Settings
	if len(h.Args) == 1 {
		var err error
		if given, err = sdk.ReadSettings(h.Args[0], h.In); err != nil {
			return fail(sdk.StatusUsage, "%v", err)
		}
	}
	if len(given.Templates) > 1 {
		return fail(sdk.StatusUsage, "there are %d templates: give the one from which sandboxes are to be made", len(given.Templates))
	}
	schemas, err := h.Plugin.Schemas(ctx)
	if err != nil {
		return fail(sdk.StatusFailed, "the plugin can't tell its settings: %v", err)
	}
	var found provider.Diagnostics
	if given.Config != nil || opts.Config == nil {
		opts.Config, found = settings.Complete(schemas.Provider, given.Config)
	}
	for _, t := range given.Templates {
		values, wrong := settings.Complete(schemas.Sandbox, t.Config)
		found = append(found, wrong...)
		s := &opts.Spec
		s.Image, s.Command, s.Network, s.Port, s.Publish, s.Config = t.Image, t.Command, t.Network, t.Port, t.Publish, values
		s.Mounts = nil
		for _, m := range t.Mounts {
			s.Mounts = append(s.Mounts, provider.Mount(m))
		}
	}
	if found.HasErrors() {
		return fail(sdk.StatusFailed, "%s: %s %s", strings.Join(found[0].Path, "."), found[0].Summary, found[0].Detail)
	}
	self, err := os.Executable()
	if err != nil {
		return fail(sdk.StatusFailed, "%v", err)
	}
	if opts.Host == nil {
		opts.Host = func() *exec.Cmd { return exec.Command(self, name) }
	}
	r := suite.NewReport(ctx, h.Out)
	r.Run("binary", func(t suite.T) { suite.Check(t, suite.Binary(self, opts), opts) })
	r.Finish()
	if r.Failed() {
		return sdk.StatusFailed
	}
	return sdk.StatusDone
}
