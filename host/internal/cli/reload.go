package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/berth-dev/berth/host"
)

// reloadWithin bounds one reload: plugins are launched for it, and backends asked.
const reloadWithin = 2 * time.Minute

// catchHangups collects SIGHUPs, which would end the process otherwise, until the
// returned function is called.
func catchHangups() (hangups <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// reloads takes over the configuration file anew at each SIGHUP, until ctx is done.
func (a *app) reloads(ctx context.Context, hangups <-chan os.Signal, h *host.Host, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			a.reload(ctx, h, log)
		}
	}
}

func (a *app) reload(ctx context.Context, h *host.Host, log *slog.Logger) {
	log.Info("reloading the configuration", "file", a.configPath)
	cfg, err := a.load()
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, reloadWithin)
		defer cancel()
		err = h.Reload(bounded, cfg)
	}
	if err != nil && ctx.Err() == nil { // else the host stops
		log.Error("the configuration was not taken over; the one before stays", "err", err)
	}
}
