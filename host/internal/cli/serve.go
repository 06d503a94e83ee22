package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/build"
	"github.com/berth-dev/berth/sdk/otlp"
)

func (a *app) serve() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run a host until SIGTERM or SIGINT; sandboxes stay", Args: cobra.NoArgs,
		Long: `Run a host: start the plugins, keep the deadlines, serve the API at control.socket, and
/metrics, /healthz and /readyz at metrics.address. SIGHUP takes over the changed
configuration file, or says in the log why not. SIGTERM and SIGINT end it gracefully; sandboxes stay, and the
next host on the same state_dir finds them. Traces are exported when the usual OTEL_*
variables ask for it.`,
		Example: "  berth serve --config /etc/berth/config.hcl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			hangups, ignore := catchHangups()
			defer ignore()
			cfg, err := a.load()
			if err != nil {
				return err
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			tracer, flush, err := otlp.TracerProvider(ctx, "berth", build.Version())
			if err != nil {
				return usage(fmt.Errorf("serve: traces: %w", err))
			}
			defer func() {
				bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				defer cancel()
				if err := flush(bounded); err != nil {
					log.Warn("some spans were not exported", "err", err)
				}
			}()
			h, err := host.New(cfg, host.Options{Logger: log, TracerProvider: tracer})
			if err != nil {
				return &exitError{exitFailed, fmt.Errorf("serve: %w", err)}
			}
			running, stop := context.WithCancel(ctx)
			var work sync.WaitGroup
			work.Go(func() { a.reloads(running, hangups, h, log) })
			err = h.Run(ctx)
			stop()
			work.Wait()
			if err != nil {
				return &exitError{exitFailed, fmt.Errorf("serve: %w", err)}
			}
			return nil
		},
	}
}
