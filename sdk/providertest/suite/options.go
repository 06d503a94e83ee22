package suite

import (
	"context"
	"os/exec"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// The defaults of [Options].
const (
	DefaultTimeout     = 30 * time.Second
	DefaultSoon        = 5 * time.Second
	DefaultGenerations = 200
	DefaultKills       = 10
	DefaultListed      = 100
)

// Options tell the suite what it can't know of a provider. The zero value is for one that
// needs no settings and takes any image. A hook that is nil leaves out the checks that need
// it; they are skipped by name, with the reason.
type Options struct {
	// Config are the provider's settings: a JSON object. Nil: {}.
	Config []byte

	// Spec is what every Spec has that the suite makes: Image, Command, Env, Mounts,
	// Network, Port, Publish, Resources, Config, ConfirmStart. What names a sandbox is the
	// suite's own. An empty Image is "conformance".
	Spec provider.Spec

	// Mutate changes each Spec before it is used. It must give the same for the same.
	Mutate func(*provider.Spec)

	// Away makes the backend unreachable until back is called. It may be called again.
	Away func(ctx context.Context) (back func(), err error)

	// Unowned makes, past the provider, a running sandbox with the session's labels of spec
	// and without an owner, as another program would, and returns its id.
	Unowned func(ctx context.Context, spec provider.Spec) (id string, err error)

	// Fails changes a Spec so that its Create fails after something was made: a command that
	// can't be executed, for one.
	Fails func(*provider.Spec)

	// Prints changes a Spec so that its sandbox prints so many lines when it starts, on
	// either stream, and goes on: "line 0", "line 1", …
	Prints func(spec *provider.Spec, lines int)

	// Stubborn changes a Spec so that its sandbox does not heed the polite signal.
	Stubborn func(*provider.Spec)

	// Ready waits until what runs in a sandbox has begun its work. Nil: it has when Create
	// returns.
	Ready func(ctx context.Context, s provider.Sandbox) error

	// Residue names, past the provider, everything that there is at the backend of an owner,
	// sandboxes and what belongs to them. It is asked when nothing may be left.
	Residue func(ctx context.Context, owner string) ([]string, error)

	// Impossible says of a check, by its name, why this provider can't be put to it.
	Impossible map[string]string

	// Only are the names of the checks to be made. Nil: all.
	Only []string

	Timeout     time.Duration // how long one verb may take
	Soon        time.Duration // how long it may go on after its context is done
	Generations int           // how many are started in a row to see that none leaves anything
	Kills       int           // how often a plugin is killed in mid-create, and in mid-delete

	Listed int // how many sandboxes the benchmark of List has

	// Of a binary.
	Args []string         // of its command line
	Env  []string         // its whole environment; nil: what a host passes on of this process's
	Host func() *exec.Cmd // a command, not started, whose program calls ActAsHost before all else
}

func (o Options) withDefaults() Options {
	if o.Config == nil {
		o.Config = []byte("{}")
	}
	if o.Spec.Image == "" {
		o.Spec.Image = "conformance"
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Soon == 0 {
		o.Soon = DefaultSoon
	}
	if o.Generations == 0 {
		o.Generations = DefaultGenerations
	}
	if o.Kills == 0 {
		o.Kills = DefaultKills
	}
	if o.Listed == 0 {
		o.Listed = DefaultListed
	}
	return o
}
