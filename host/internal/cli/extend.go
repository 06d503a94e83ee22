package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
)

func (a *app) extend() *cobra.Command {
	var by time.Duration
	var until string
	cmd := &cobra.Command{
		Use: "extend SESSION (--by DURATION | --until TIME)", Short: "Push a session's deadline later", Args: oneSession,
		DisableFlagsInUseLine: true,
		Long: `Push a session's deadline later: by a duration from the deadline as it is, or until a
time. It never shortens. The new deadline is on the host's disk when the command ends.
Beyond max_ttl or max_lifetime it is refused.`,
		Example: `  berth extend 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a --by 5m
  berth extend 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a --until 2026-01-02T15:04:05Z`,
		ValidArgsFunction: a.completeSessions(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := host.ExtendRequest{By: by}
			flags := cmd.Flags()
			switch {
			case flags.Changed("by") == flags.Changed("until"):
				return usage(errors.New("extend: give one of --by and --until"))
			case flags.Changed("until"):
				var err error
				if req.Until, err = instant("extend", "until", until); err != nil {
					return err
				}
			case by <= 0:
				return refused("extend", "by: %v is not over 0; give more, such as 5m", by)
			}
			return a.about(func(ctx context.Context, c *client.Client, id string) (host.Session, error) {
				return c.Extend(ctx, id, req)
			}, a.printSession)(cmd, args)
		},
	}
	cmd.Flags().DurationVar(&by, "by", 0, "how much later, such as 90s, 5m or 1h30m")
	cmd.Flags().StringVar(&until, "until", "", "the new deadline, a `time` in RFC 3339")
	for _, name := range []string{"by", "until"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return cmd
}
