package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

func (a *app) watch() *cobra.Command {
	return &cobra.Command{
		Use: "watch", Short: "Show the sessions as they change, until Ctrl-C", Args: cobra.NoArgs,
		Long: `Show the sessions as they change, until Ctrl-C: on a terminal as a table whose TTLs run
down, elsewhere as a line for each event, with -o json as an object for each event. It
begins with the sessions that are there, those that have ended included, and goes on by
itself when the host starts again: after a resync event the sessions are told anew.`,
		Example: "  berth watch\n  berth watch -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			ctx, leave := context.WithCancelCause(cmd.Context())
			defer leave(nil)
			var show watcher // from the first event on
			c, err := a.dial(cmd, client.WithOnDisconnect(func(err error) {
				if show == nil {
					leave(failed("watch", err)) // there is no host to wait for
					return
				}
				show.broken(err)
			}))
			if err != nil {
				return err
			}
			defer c.Close()
			for ev := range c.Watch(ctx) {
				if show == nil {
					show = a.watcher(asJSON, leave)
					defer show.close()
				}
				if err := show.event(ev); err != nil {
					return &exitError{exitFailed, fmt.Errorf("watch: %w", err)}
				}
			}
			if cmd.Context().Err() != nil {
				return nil // Ctrl-C is how one ends it
			}
			return context.Cause(ctx)
		},
	}
}

// watcher shows events. Its methods are called one at a time.
type watcher interface {
	event(host.Event) error
	broken(error) // the host went away; the watch goes on when it is back
	close()
}

// watcher is what suits the output. leave is called when the output can't be written.
func (a *app) watcher(asJSON bool, leave func(error)) watcher {
	screen := newScreen(a.out)
	switch {
	case asJSON:
		return objects{a}
	case screen.live():
		return newView(screen, catchSignals(), leave)
	}
	return lines{out: a.out, err: a.err}
}

// objects shows an event as the API's JSON, on a line.
type objects struct{ *app }

func (o objects) event(ev host.Event) error {
	return o.printJSON(convert.Marshal(convert.EventToProto(ev)))
}

func (o objects) broken(err error) { sayBroken(o.err, err) }
func (objects) close()             {}

// lines shows an event as a line of text.
type lines struct{ out, err io.Writer }

func (l lines) event(ev host.Event) error {
	_, err := fmt.Fprintln(l.out, eventLine(ev, time.Now()))
	return err
}

func (l lines) broken(err error) { sayBroken(l.err, err) }
func (lines) close()             {}

func sayBroken(w io.Writer, err error) {
	fmt.Fprintf(w, "berth: %s; trying again\n", printable(err.Error()))
}

// eventLine is an event as a line: when it was told, what it is, and the columns of a list.
func eventLine(ev host.Event, now time.Time) string {
	line := fmt.Sprintf("%s  %-8s", now.Local().Format(time.RFC3339), ev.Type)
	switch ev.Type {
	case host.EventSynced:
		return line + "  what was there has been told; changes follow"
	case host.EventResync:
		return line + "  events were missed; all is told anew"
	case host.EventProgress:
		if p := ev.Progress; p != nil {
			line += fmt.Sprintf("  %s  %s  %s", p.Provider, p.Image, p.Message)
		}
		return printable(line)
	}
	for _, c := range sessionColumns() {
		line += "  " + c.text(ev.Session, now)
	}
	return printable(line)
}
