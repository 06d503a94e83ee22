package host

import (
	"context"
	"errors"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
)

// Schemas starts the plugin of one provider from a private temporary directory, asks which
// settings it has, and ends it. A provider that cfg has no block for is taken for the plugin
// berth-provider-<name> in the plugin directory. No backend is touched, and no state
// directory.
func Schemas(ctx context.Context, cfg *config.Config, name string, opts Options) (schemas provider.Schemas, err error) {
	p := cfg.Provider(name)
	if p == nil {
		p = &config.Provider{Name: name, Command: "berth-provider-" + name}
	}
	alone := &config.Config{PluginDir: cfg.PluginDir, Providers: []*config.Provider{p}}
	err = withPlugins(alone, opts.withDefaults(), func(l supervisor.Launcher, _ *config.Provider) (err error) {
		instance, err := l.Launch(ctx)
		if err != nil {
			return err
		}
		defer func() {
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
			defer cancel()
			err = errors.Join(err, instance.Close(bounded))
		}()
		schemas, err = instance.Plugin().Schemas(ctx)
		return err
	})
	return schemas, err
}
