package host

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/launch"
)

// launcher is how one provider's plugin comes to life: linked in, or from a binary.
func launcher(cfg *config.Config, p *config.Provider, opts Options, cache, run string) supervisor.Launcher {
	if plugin, ok := opts.Providers[p.Name]; ok {
		return supervisor.Value(plugin)
	}
	path, err := pluginPath(cfg, p)
	if err != nil {
		return unlaunchable{err}
	}
	return supervisor.Process(launch.Options{
		Name: p.Name, Path: path, SHA256: p.SHA256, CacheDir: cache, RunDir: run,
		Env:    launch.Environment(opts.Environ, p.Env),
		Logger: opts.Logger.With(slog.String("provider", p.Name)), TracerProvider: opts.TracerProvider,
	})
}

// unlaunchable is a plugin whose binary can't even be named.
type unlaunchable struct{ err error }

func (u unlaunchable) Launch(context.Context) (supervisor.Instance, error) {
	return nil, fmt.Errorf("find the plugin directory: %w; set plugin_dir", u.err)
}

// pruneCache removes the copies of plugins that no provider block names any more.
func (h *Host) pruneCache(ctx context.Context, cfg *config.Config) {
	var keep []string
	for _, p := range cfg.Providers {
		if path, err := pluginPath(cfg, p); err == nil {
			keep = append(keep, path)
		}
	}
	if err := launch.PruneCache(ctx, h.dir.Plugins(), keep); err != nil {
		h.log.Warn("old copies of plugins were not all removed", "err", err)
	}
}
