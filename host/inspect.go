package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/launch"
)

// Validate checks a configuration with the plugins that it names: it starts each from a
// private temporary directory, binds its settings with the schemas that the plugin
// tells, and lets it judge them. No backend is touched, and no state directory. The
// error joins what each provider has to say; nil means that all is well.
func Validate(ctx context.Context, cfg *config.Config, opts Options) error {
	return withPlugins(cfg, opts.withDefaults(), func(l supervisor.Launcher, p *config.Provider) error {
		if err := judge(ctx, l, p); err != nil {
			return fmt.Errorf("provider %q: %w", p.Name, err)
		}
		return nil
	})
}

// judge starts one plugin, checks its settings, and ends it.
func judge(ctx context.Context, l supervisor.Launcher, p *config.Provider) (err error) {
	instance, err := l.Launch(ctx)
	if err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		err = errors.Join(err, instance.Close(bounded))
	}()
	schemas, err := instance.Plugin().Schemas(ctx)
	if err != nil {
		return err
	}
	req, err := p.Bind(schemas)
	if err != nil {
		return err
	}
	found, err := instance.Plugin().Validate(ctx, req)
	if err != nil {
		return err
	}
	return p.Explain(found)
}

// Inspect starts every plugin from a private temporary directory, without a state
// directory and its lock, waits until each is READY, refused or within away from its
// backend, and tells what was seen. The plugins are gone when it returns.
func Inspect(ctx context.Context, cfg *config.Config, opts Options, within time.Duration) ([]ProviderStatus, error) {
	opts = opts.withDefaults()
	reports := make([]ProviderStatus, len(cfg.Providers))
	index := map[string]int{}
	for i, p := range cfg.Providers {
		index[p.Name] = i
	}
	var mu sync.Mutex
	err := withPlugins(cfg, opts, func(l supervisor.Launcher, p *config.Provider) error {
		s, err := supervisor.New(supervisor.Options{Name: p.Name, Launcher: l, Settings: p, Owner: "inspect", Logger: opts.Logger})
		if err != nil {
			return err
		}
		report := observe(ctx, s, within, func() {})
		mu.Lock()
		defer mu.Unlock()
		reports[index[p.Name]] = report
		return nil
	})
	return reports, err
}

// observe runs a supervisor until it has come to something. When that is READY it calls ready
// before it ends it.
func observe(ctx context.Context, s *supervisor.Supervisor, within time.Duration, ready func()) ProviderStatus {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); s.Run(running) }()
	defer func() { stop(); <-done }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		switch s.Status().State {
		case lifecycle.Ready:
			report := s.Report()
			ready()
			return report
		case lifecycle.Degraded, lifecycle.Misconfigured, lifecycle.Backoff:
			return s.Report()
		}
		select {
		case <-ctx.Done():
			return s.Report()
		case <-tick.C:
		}
	}
}

// withPlugins calls f for each provider, side by side, with a launcher in a private
// temporary directory, and joins the errors in the order of the configuration.
func withPlugins(cfg *config.Config, opts Options, f func(supervisor.Launcher, *config.Provider) error) (err error) {
	run, remove, err := launch.TempRunDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	cache := filepath.Join(run, "plugins")
	if err := os.Mkdir(cache, 0o700); err != nil {
		return err
	}
	errs := make([]error, len(cfg.Providers))
	var work sync.WaitGroup
	for i, p := range cfg.Providers {
		work.Go(func() { errs[i] = f(launcher(cfg, p, opts, cache, run), p) })
	}
	work.Wait()
	return errors.Join(errs...)
}
