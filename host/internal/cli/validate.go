package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
)

func (a *app) validate() *cobra.Command {
	return &cobra.Command{
		Use: "validate", Short: "Check the configuration, with the plugins that it names", Args: cobra.NoArgs,
		Long: `Check the configuration: the file by itself, then each provider's settings, which the
plugin judges. Plugins are started from a private temporary directory and ended. No
backend is touched.`,
		Example: "  berth validate --config /etc/berth/config.hcl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			log, err := a.inspector(cmd)
			if err != nil {
				return err
			}
			if err := host.Validate(cmd.Context(), cfg, host.Options{Logger: log}); err != nil {
				return &exitError{exitUsage, fmt.Errorf("validate: %s: %w", a.configPath, err)}
			}
			fmt.Fprintf(a.out, "%s is valid: %s, %s\n", a.configPath, count(len(cfg.Providers), "provider"), count(len(cfg.Templates), "template"))
			return nil
		},
	}
}
