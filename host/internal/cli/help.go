package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) help() *cobra.Command {
	return &cobra.Command{
		Use: "help [VERB]", Short: "Tell about a verb, with an example",
		Long:    "Tell what a verb does and which flags it has, as its --help does.",
		Example: "  berth help create",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage(fmt.Errorf("help: there is no verb %q; berth --help lists them", strings.Join(args, " ")))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
