package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
)

// completeWithin bounds what somebody who presses Tab waits for the host.
const completeWithin = time.Second

func (a *app) completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use: "completion bash|zsh|fish", Short: "Print a script that completes berth's words in a shell",
		DisableFlagsInUseLine: true,
		Long: `Print a script that lets a shell complete berth's verbs and flags, the templates of the
configuration, and the sessions of the host that runs.`,
		Example: `  source <(berth completion bash)                                        # bash, with bash-completion
  berth completion zsh > "${fpath[1]}/_berth"                            # zsh
  berth completion fish > ~/.config/fish/completions/berth.fish          # fish`,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(fmt.Errorf("completion: give one shell: bash, zsh or fish"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.out)
			case "fish":
				return cmd.Root().GenFishCompletion(a.out, true)
			}
			return usage(fmt.Errorf("completion: %q is no shell that is known here; give bash, zsh or fish", args[0]))
		},
	}
}

// completeGlobals completes the flags that each verb has.
func completeGlobals(root *cobra.Command) {
	for name, words := range map[string][]string{
		"output":    {"table", "json"},
		"log-level": {"debug", "info", "warn", "error"},
	} {
		must(root.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
	}
	must(root.MarkPersistentFlagFilename("config", "hcl"))
}

// completeSessions completes a SESSION with the ids that the host tells, also of those
// that have ended when ended is true. Without a host there are none.
func (a *app) completeSessions(ended bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) (ids []string, _ cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		a.err = io.Discard // a shell asks, in the middle of a line
		c, err := a.dial(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		rows, _ := c.List(ctx, host.Filter{All: ended})
		for _, s := range rows {
			ids = append(ids, cobra.CompletionWithDesc(s.ID, fmt.Sprintf("%s, %s, chat %s", statusOf(s), s.Template, short(s.ChatID))))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeTemplates completes with the names in the configuration, when it can be read.
func (a *app) completeTemplates(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
	if cfg, diags := config.Load(a.configPath); !diags.HasErrors() {
		for _, t := range cfg.Templates {
			names = append(names, cobra.CompletionWithDesc(t.Name, t.Image))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
