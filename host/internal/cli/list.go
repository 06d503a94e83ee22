package cli

import (
	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

func (a *app) list() *cobra.Command {
	var f host.Filter
	cmd := &cobra.Command{
		Use: "list", Short: "Show the sessions that have not ended, oldest first", Args: cobra.NoArgs,
		Long: `Show the sessions that have not ended, oldest first; with --all also those that have. On
a narrow terminal columns are left out: -o json has everything, as an array.`,
		Example: `  berth list
  berth list --all --template default --status ended -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			c, err := a.dial(cmd)
			if err != nil {
				return err
			}
			defer c.Close()
			rows, err := c.List(cmd.Context(), f)
			if err != nil {
				return failed("list", err)
			}
			if asJSON {
				return a.printJSON(convert.SessionsJSON(rows))
			}
			return a.printTable(rows)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.All, "all", false, "also those that have ended")
	flags.StringVar(&f.ChatID, "chat-id", "", "those of one chat, a `UUID`")
	flags.StringVar(&f.AgentID, "agent-id", "", "those of one agent, by `name`")
	flags.StringVar(&f.Template, "template", "", "those of one template, by `name`")
	flags.StringVar((*string)(&f.Status), "status", "", "those in one `status`: creating, running, stopping, stopped, deleting, ended or unknown")
	must(cmd.RegisterFlagCompletionFunc("template", a.completeTemplates))
	must(cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{
		"creating", "running", "stopping", "stopped", "deleting", "ended", "unknown"}, cobra.ShellCompDirectiveNoFileComp)))
	for _, name := range []string{"chat-id", "agent-id"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
	return cmd
}
