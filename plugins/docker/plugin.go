package docker

import (
	"context"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
)

// Version is that of this provider.
const Version = "0.1.0"

// Plugin makes the Docker provider a plugin: for sdk.Serve, or for a host that links it
// in and gives it its environment by sdk.WithEnv.
func Plugin(opts ...sdk.Option) provider.Plugin {
	return sdk.Define(sdk.Definition[Config, SandboxConfig]{
		Name:    "docker",
		Version: Version,
		Doc:     "Sandboxes as containers of a Docker daemon, which DOCKER_HOST names.",
		Validate: func(_ context.Context, c Config, templates map[string]sdk.TemplateOf[SandboxConfig]) provider.Diagnostics {
			infos := make(map[string]provider.TemplateInfo, len(templates))
			for name, t := range templates {
				infos[name] = t.TemplateInfo
			}
			return validate(c, infos)
		},
		Open: func(_ context.Context, env sdk.Env, c Config) (provider.Provider, error) {
			return New(c, Options{Logger: env.Logger, TracerProvider: env.TracerProvider})
		},
	}, opts...)
}
