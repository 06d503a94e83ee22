// Package cli is the command line of berth: a file for each verb.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host/config"
)

// The exit statuses.
const (
	exitDone     = 0
	exitFailed   = 1 // every error of the host
	exitUsage    = 2 // a command line or a configuration that can't be read
	exitNotFound = 3
)

// app is one call of the command.
type app struct {
	in       io.Reader
	out, err io.Writer

	configPath string
	output     string // table or json
	logLevel   string
}

// exitError carries an exit status. Its text, when there is one, is for stderr.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(err error) error { return &exitError{exitUsage, err} }

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
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	status := exitUsage // cobra's own errors are about the command line
	var exit *exitError
	if errors.As(err, &exit) {
		status = exit.status
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(errw, "berth: %s\n", text)
	}
	return status
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "berth",
		Short:         "Short-lived, isolated sandboxes that are there until their deadline and gone after it",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.configPath, "config", "config.hcl", "the configuration file")
	flags.StringVarP(&a.output, "output", "o", "table", "table or json")
	flags.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	root.AddCommand(a.serve(), a.validate(), a.providers(), a.demo(), a.version())
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

func (a *app) json() (bool, error) {
	switch a.output {
	case "table":
		return false, nil
	case "json":
		return true, nil
	}
	return false, usage(fmt.Errorf("--output: %q is none; give table or json", a.output))
}
