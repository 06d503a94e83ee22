package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
)

func (a *app) logs() *cobra.Command {
	var req host.LogsRequest
	cmd := &cobra.Command{
		Use: "logs SESSION", Short: "Print what a sandbox has printed", Args: oneSession,
		Long: `Print what the session's sandbox has printed, byte by byte: its stdout on stdout and its
stderr on stderr. With -f go on until the sandbox has ended, or until Ctrl-C. The output
goes with the sandbox, so a session that has ended has none.`,
		Example: `  berth logs 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a --tail 20
  berth logs -f 0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a`,
		ValidArgsFunction: a.completeSessions(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("tail") && req.Tail <= 0 {
				return refused("logs", "tail: %d is not over 0; give a number of lines, or leave it out for all", req.Tail)
			}
			c, err := a.dial(cmd)
			if err != nil {
				return err
			}
			defer c.Close()
			err = c.Logs(cmd.Context(), args[0], req, func(chunk host.LogChunk) error {
				out := a.out
				if chunk.Stderr {
					out = a.err
				}
				_, err := out.Write(chunk.Data)
				return err
			})
			if req.Follow && errors.Is(context.Cause(cmd.Context()), context.Canceled) {
				return nil // Ctrl-C is how one ends it
			}
			return failed("logs", err)
		},
	}
	cmd.Flags().BoolVarP(&req.Follow, "follow", "f", false, "go on until the sandbox has ended")
	cmd.Flags().IntVar(&req.Tail, "tail", 0, "only the last `N` lines (default: all)")
	must(cmd.RegisterFlagCompletionFunc("tail", cobra.NoFileCompletions))
	return cmd
}
