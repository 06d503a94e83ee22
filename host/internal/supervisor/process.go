package supervisor

import (
	"context"

	"github.com/berth-dev/berth/sdk/launch"
)

// Process launches a binary for each life.
func Process(opts launch.Options) Launcher { return process{opts} }

type process struct{ opts launch.Options }

func (p process) Launch(ctx context.Context) (Instance, error) {
	inst, err := launch.Start(ctx, p.opts)
	if err != nil {
		return nil, err // not a nil *launch.Process in an Instance
	}
	return inst, nil
}

// Fingerprint changes when the binary does.
func (p process) Fingerprint() string { return launch.Fingerprint(p.opts.Path) }
