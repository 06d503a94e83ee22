package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
)

func (a *app) stop() *cobra.Command {
	return &cobra.Command{
		Use: "stop SESSION", Short: "End what runs in a sandbox, and keep the sandbox", Args: oneSession,
		Long: `End what runs in the session's sandbox. The sandbox stays until the deadline, or until
it is deleted; it can't be started again. One that is stopped or has ended is no error.`,
		Example:           "  berth stop 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a",
		ValidArgsFunction: a.completeSessions(false),
		RunE: a.about(func(ctx context.Context, c *client.Client, id string) (host.Session, error) { return c.Stop(ctx, id) },
			a.printSession),
	}
}
