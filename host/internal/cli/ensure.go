package cli

import (
	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host/client"
)

func (a *app) ensure() *cobra.Command {
	r := &request{}
	cmd := &cobra.Command{
		Use: "ensure", Short: "Get the chat's running session, or make one", Args: cobra.NoArgs,
		Long: `Get the chat's running session, with at least the TTL still to live, or make one. Many
who ask at once get the same. One with another template, agent or volume is a conflict.`,
		Example: `  berth ensure --template default --chat-id 6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f
  berth ensure --template default --chat-id "$chat" --ttl 15m -o json`,
		RunE: a.making(r, (*client.Client).Ensure),
	}
	r.flags(a, cmd)
	return cmd
}
