package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/schemadoc"
)

func (a *app) providersDocs() *cobra.Command {
	return &cobra.Command{
		Use: "docs NAME", Short: "Print the settings of a provider, as markdown",
		Long: `Print the settings of a provider, as markdown: those of its own config block, and those of
the templates that use it. Its plugin is started from a private temporary directory, asked,
and ended; no backend is touched. Without a block of that name in the configuration, or
without a configuration, the plugin is berth-provider-NAME beside berth.`,
		Example: "  berth providers docs docker > docker.md",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" || strings.ContainsAny(args[0], `/\`) {
				return usage(errors.New("providers docs: give the name of one provider"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg := &config.Config{}
			_, err := os.Stat(a.configPath)
			if cmd.Flags().Changed("config") || !errors.Is(err, fs.ErrNotExist) {
				if cfg, err = a.load(); err != nil {
					return err
				}
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), inspectWithin)
			defer cancel()
			schemas, err := host.Schemas(ctx, cfg, args[0], host.Options{Logger: log})
			if err != nil {
				return failed("providers docs", err)
			}
			if err := schemadoc.Markdown(a.out, args[0], schemas); err != nil {
				return failed("providers docs", fmt.Errorf("print: %w", err))
			}
			return nil
		},
	}
}
