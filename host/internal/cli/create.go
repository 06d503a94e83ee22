package cli

import (
	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host/client"
)

func (a *app) create() *cobra.Command {
	r := &request{}
	cmd := &cobra.Command{
		Use: "create", Short: "Make a session, and wait until its sandbox answers", Args: cobra.NoArgs,
		Long: `Make a session, and wait until its sandbox answers. A call that is interrupted leaves
nothing behind, unless it gave --session-id: then the same call again joins it.`,
		Example: `  berth create --template default --chat-id 6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f --ttl 10m
  berth create --template default --chat-id "$chat" --agent-id writer --metadata team=red -o json`,
		RunE: a.making(r, (*client.Client).Create),
	}
	r.flags(a, cmd)
	return cmd
}
