package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/build"
	"github.com/berth-dev/berth/sdk/otlp"
)

func (a *app) serve() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run a host until SIGTERM or SIGINT; sandboxes stay", Args: cobra.NoArgs,
		Long: `Run a host: start the plugins, keep the deadlines, serve /metrics, /healthz and
/readyz at metrics.address. SIGTERM and SIGINT end it gracefully; sandboxes stay, and the
next host on the same state_dir finds them. Traces are exported when the usual OTEL_*
variables ask for it.`,
		Example: "  berth serve --config /etc/berth/config.hcl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
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
			if err := h.Run(ctx); err != nil {
				return &exitError{exitFailed, fmt.Errorf("serve: %w", err)}
			}
			return nil
		},
	}
}
