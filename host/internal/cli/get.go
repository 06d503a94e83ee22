package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
)

func (a *app) get() *cobra.Command {
	return &cobra.Command{
		Use: "get SESSION", Short: "Show one session, also when it has ended", Args: oneSession,
		Long: `Show all that is known of one session. One that has ended can be asked for until
ended_retention has passed, and tells why it ended.`,
		Example: `  berth get 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a
  berth get 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a -o json`,
		ValidArgsFunction: a.completeSessions(true),
		RunE: a.about(func(ctx context.Context, c *client.Client, id string) (host.Session, error) { return c.Get(ctx, id) },
			func(s host.Session, asJSON bool) error {
				if asJSON {
					return a.printSession(s, true)
				}
				return a.printDetails(s)
			}),
	}
}
