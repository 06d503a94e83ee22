package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
)

func (a *app) delete() *cobra.Command {
	return &cobra.Command{
		Use: "delete SESSION", Short: "Remove a sandbox at once, and end its session", Args: oneSession,
		Long: `Remove the session's sandbox by force, in whatever state it is, and end the session. One
that has ended is no error. With -o json the answer is an empty object.`,
		Example:           "  berth delete 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a",
		ValidArgsFunction: a.completeSessions(false),
		RunE: a.about(func(ctx context.Context, c *client.Client, id string) (host.Session, error) {
			return host.Session{ID: id}, c.Delete(ctx, id)
		}, func(s host.Session, asJSON bool) error {
			if asJSON {
				return a.printJSON([]byte("{}"), nil)
			}
			_, err := fmt.Fprintf(a.out, "session %s is deleted\n", s.ID)
			return err
		}),
	}
}
