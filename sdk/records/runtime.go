package records

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// Runtime starts, looks at and ends what runs in sandboxes. Each of its methods may be
// called concurrently, but Start and End never at a time for the same sandbox. dir is the
// sandbox's entry, an absolute path: what a runtime writes there is removed with it. After a
// restart of the plugin it knows of a sandbox what is in dir, and nothing else.
type Runtime interface {
	// Prepare is that of [provider.Provider].
	Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error)

	// Start starts the sandbox of spec, and returns when it runs. It refuses what it can't
	// carry out with InvalidArgument or Unsupported. When it fails, or ctx is done, End is
	// called and the entry removed.
	Start(ctx context.Context, dir string, spec provider.Spec) error

	// Observe tells how a sandbox is now: StateCreated where Start was never called. An
	// error means that it can't be told.
	Observe(ctx context.Context, dir string) (Observed, error)

	// End ends all that runs in a sandbox: politely, and after grace, or at once when that
	// is 0, by force. It returns when nothing runs any more. It may be called in any state,
	// also when Start failed, was cut off, or was never called.
	End(ctx context.Context, dir string, grace time.Duration) error
}

// Observed is how a sandbox is now.
type Observed struct {
	State    provider.State
	Endpoint *provider.Endpoint // nil unless it runs and has one
	Exit     *provider.Exit     // nil unless it has ended
}

// Options are what a provider tells of its runtime. What it can't carry out is refused as
// Unsupported, before anything is made.
type Options struct {
	Version     string                // of the backend, for people
	Limitations []provider.Limitation // what it can't enforce

	Mounts   bool // it carries out the mounts of a spec
	Networks bool // it joins the network of a spec
}

// Judge tells of a template what would be refused when a sandbox is made from it. It is for
// the Validate of a plugin.
func (o Options) Judge(name string, t provider.TemplateInfo) provider.Diagnostics {
	what, setting := o.refused(t.Network, t.Mounts)
	if what == "" {
		return nil
	}
	return provider.Diagnostics{{Severity: provider.SeverityError, Template: name, Path: []string{"template." + setting},
		Summary: what, Detail: "Leave it out, or use another provider."}}
}

// refused tells what can't be carried out, and by which setting of a template it is asked for.
func (o Options) refused(network string, mounts []provider.Mount) (what, setting string) {
	switch {
	case network != "" && !o.Networks:
		return fmt.Sprintf("this provider joins no network, and %q is asked for", network), "network"
	case len(mounts) > 0 && !o.Mounts:
		return fmt.Sprintf("this provider has no mounts, and %q is asked for", mounts[0].Name), "mount"
	}
	return "", ""
}
