package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
)

// request is what create and ensure ask for, as flags.
type request struct {
	host.CreateRequest
	metadata []string // k=v
}

// flags gives cmd the flags, and checks that the required ones are there.
func (r *request) flags(a *app, cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.Template, "template", "", "the `name` of the template to make the sandbox from (required)")
	f.StringVar(&r.ChatID, "chat-id", "", "the chat that it is for, a `UUID` (required)")
	f.StringVar(&r.SessionID, "session-id", "", "an id of your own, a `UUID`, so that the call can be made again (default: one is made)")
	f.StringVar(&r.AgentID, "agent-id", "", "the `name` of the agent that works there")
	f.StringVar(&r.Volume, "volume", "", "a host `directory`, inside one of volume_roots")
	f.DurationVar(&r.TTL, "ttl", 0, "how long it lives, such as 90s, 5m or 1h30m (default: the template's)")
	f.StringArrayVar(&r.metadata, "metadata", nil, "`key=value` to keep with the session; may be given many times")
	for _, name := range []string{"template", "chat-id"} {
		must(cmd.MarkFlagRequired(name)) // a shell then completes them first
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{"template", "chat-id"} {
			if !cmd.Flags().Changed(name) {
				return usage(fmt.Errorf("%s: --%s is missing; --template and --chat-id are required", cmd.Name(), name))
			}
		}
		return nil
	}
	must(cmd.RegisterFlagCompletionFunc("template", a.completeTemplates))
	for _, name := range []string{"chat-id", "session-id", "agent-id", "ttl", "metadata"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// read makes the request from the flags. A TTL of zero would mean the template's.
func (r *request) read(cmd *cobra.Command) (host.CreateRequest, error) {
	verb := cmd.Name()
	if cmd.Flags().Changed("ttl") && r.TTL <= 0 {
		return r.CreateRequest, refused(verb, "ttl: %v is not over 0; give more, such as 5m, or leave it out for the template's", r.TTL)
	}
	r.Metadata = map[string]string{}
	for _, item := range r.metadata {
		k, v, ok := strings.Cut(item, "=")
		if !ok || k == "" {
			return r.CreateRequest, usage(fmt.Errorf("%s: --metadata: %q is no key=value", verb, item))
		}
		if _, twice := r.Metadata[k]; twice {
			return r.CreateRequest, usage(fmt.Errorf("%s: --metadata: the key %q is given twice", verb, k))
		}
		r.Metadata[k] = v
	}
	return r.CreateRequest, nil
}

// making is the body of create and ensure.
func (a *app) making(r *request, ask func(*client.Client, context.Context, host.CreateRequest) (host.Session, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		asJSON, err := a.json()
		if err != nil {
			return err
		}
		want, err := r.read(cmd)
		if err != nil {
			return err
		}
		c, err := a.dial(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		s, err := ask(c, cmd.Context(), want)
		if err != nil {
			return failed(cmd.Name(), err)
		}
		return a.printSession(s, asJSON)
	}
}

// about is a verb about one session: it asks, and show tells what came of it.
func (a *app) about(ask func(context.Context, *client.Client, string) (host.Session, error), show func(s host.Session, asJSON bool) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		asJSON, err := a.json()
		if err != nil {
			return err
		}
		c, err := a.dial(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		s, err := ask(cmd.Context(), c, args[0])
		if err != nil {
			return failed(cmd.Name(), err)
		}
		return show(s, asJSON)
	}
}

// oneSession is the argument of a verb about one session.
func oneSession(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usage(fmt.Errorf("%s: SESSION is missing; `berth list` shows the ids", cmd.Name()))
	case 1:
		return nil
	}
	return usage(fmt.Errorf("%s: takes one SESSION, and %d arguments are given", cmd.Name(), len(args)))
}

// instant reads a time as a flag gives it.
func instant(verb, flag, text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usage(fmt.Errorf("%s: --%s: %q is no time; give one such as %s", verb, flag, text, "2026-01-02T15:04:05Z"))
	}
	if t.IsZero() { // which is none to the host
		return t, refused(verb, "%s: %s is a time that was never set; give one that is to come", flag, text)
	}
	return t, nil
}

// must is for what only a mistake in this package can break.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
