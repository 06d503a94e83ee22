// Package cli is the command line of berth: a file for each verb.
package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host/config"
)

// app is one call of the command.
type app struct {
	in       io.Reader
	out, err io.Writer

	configPath string
	socket     string
	output     string // table or json
	logLevel   string
}

// Main runs one command line and returns its exit status. SIGINT and SIGTERM end it
// gracefully.
func Main(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: in, out: out, err: errw}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	return a.report(root.ExecuteContext(ctx), asksForJSON(args))
}

const rootHelp = `Short-lived, isolated sandboxes that are there until their deadline and gone after it.

serve runs a host; the other verbs speak to the one that listens on a socket: that of
--socket, else of $BERTH_SOCKET, else of the configuration, else berth.sock in the
default state directory.

An error is a line on stderr with its stable code; with -o json it is an object on
stdout too. The exit status is 0 when it is done, 1 when it failed, 2 when the command
line or the configuration can't be read, 3 when there is no such thing.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "berth",
		Short:         "Short-lived, isolated sandboxes that are there until their deadline and gone after it",
		Long:          rootHelp,
		Example:       "  berth serve &\n  berth ensure --template default --chat-id 6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f\n  berth list",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.configPath, "config", "config.hcl", "the configuration `file`")
	flags.StringVar(&a.socket, "socket", "", "the `path` of the host's socket (default $BERTH_SOCKET, else the configuration's)")
	flags.StringVarP(&a.output, "output", "o", "table", "the `format`: table or json")
	flags.StringVar(&a.logLevel, "log-level", "info", "the `level` of what a host logs: debug, info, warn or error")
	root.AddCommand(
		a.serve(), a.validate(), a.demo(),
		a.create(), a.ensure(), a.get(), a.list(), a.extend(), a.stop(), a.delete(), a.watch(), a.logs(),
		a.providers(), a.doctor(), a.reap(), a.version(), a.completion(),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if cmd == root {
			return usage(err)
		}
		return usage(fmt.Errorf("%s: %w", cmd.Name(), err))
	})
	root.SetHelpCommand(a.help())
	root.InitDefaultHelpCmd()
	completeGlobals(root)
	return root
}

// load reads the configuration. What is wrong with it is shown whole, as it is.
func (a *app) load() (*config.Config, error) {
	cfg, diags := config.Load(a.configPath)
	for _, d := range diags {
		fmt.Fprintln(a.err, d)
	}
	if diags.HasErrors() {
		return nil, &exitError{exitUsage, fmt.Errorf("%s: the configuration is refused", a.configPath)}
	}
	return cfg, nil
}

func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, usage(fmt.Errorf("--log-level: %q is none; give debug, info, warn or error", a.logLevel))
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level})), nil
}

// inspector is the log of a verb that starts plugins only to ask them: it has what is
// wrong, and the rest only when --log-level asks for it.
func (a *app) inspector(cmd *cobra.Command) (*slog.Logger, error) {
	if !cmd.Flags().Changed("log-level") {
		return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})), nil
	}
	return a.logger()
}

func (a *app) json() (bool, error) {
	switch a.output {
	case "table":
		return false, nil
	case "json":
		return true, nil
	}
	return false, usage(fmt.Errorf("--output: %q is none; give table or json", a.output))
}
