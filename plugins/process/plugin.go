package process

import (
	"context"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
)

// Version is that of this provider.
const Version = "0.1.0"

// Plugin makes the process provider a plugin: for sdk.Serve, or for a host that links it
// in and gives it its environment by sdk.WithEnv. That program must be able to become a
// shim, which it is by importing this package.
func Plugin(opts ...sdk.Option) provider.Plugin {
	return sdk.Define(sdk.Definition[Config, SandboxConfig]{
		Name:    "process",
		Version: Version,
		Doc:     "Sandboxes as process trees of this machine, on Linux: no daemon and no image.",
		Validate: func(_ context.Context, c Config, templates map[string]sdk.TemplateOf[SandboxConfig]) provider.Diagnostics {
			return validate(c, templates)
		},
		Open: func(_ context.Context, env sdk.Env, c Config) (provider.Provider, error) {
			return open(c, Options{Logger: env.Logger, TracerProvider: env.TracerProvider})
		},
	}, opts...)
}
