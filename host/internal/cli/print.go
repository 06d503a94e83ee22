package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

// printSession shows what a verb has made or changed: a table of one row, or the object.
func (a *app) printSession(s host.Session, asJSON bool) error {
	if asJSON {
		return a.printJSON(convert.SessionJSON(s))
	}
	return a.printTable([]host.Session{s})
}

func (a *app) printTable(rows []host.Session) error {
	s := newScreen(a.out)
	_, err := fmt.Fprintln(a.out, strings.Join(s.table(sessionColumns(), rows, time.Now()), "\n"))
	return err
}

// printJSON writes what was marshalled, and ends the line.
func (a *app) printJSON(text []byte, err error) error {
	if err != nil {
		return &exitError{exitFailed, err}
	}
	_, err = fmt.Fprintf(a.out, "%s\n", text)
	return err
}

// printDetails shows all that is known of a session, a line for each.
func (a *app) printDetails(s host.Session) error {
	screen, now := newScreen(a.out), time.Now()
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		fmt.Fprintf(w, "%s\t%s\n", name, strings.ReplaceAll(printable(dash(value)), "\n", "\n\t"))
	}
	line("SESSION", s.ID)
	fmt.Fprintf(w, "STATUS\t%s\n", screen.paint(string(s.Status), styleOf(s)))
	line("CHAT", s.ChatID)
	line("AGENT", s.AgentID)
	line("TEMPLATE", s.Template)
	line("PROVIDER", s.Provider)
	line("SANDBOX", s.SandboxID)
	line("ENDPOINT", address(s))
	line("CREATED", moment(s.CreatedAt))
	expires := moment(s.ExpiresAt)
	if l := left(s, now); l != "-" {
		expires += " (" + l + " left)"
	}
	line("EXPIRES", expires)
	line("VOLUME", s.VolumeHostPath)
	var metadata []string
	for _, k := range slices.Sorted(maps.Keys(s.Metadata)) {
		metadata = append(metadata, k+"="+s.Metadata[k])
	}
	line("METADATA", strings.Join(metadata, "\n"))
	if s.Ended != nil {
		line("ENDED", endOf(*s.Ended))
	}
	return w.Flush()
}

// endOf tells how a session ended.
func endOf(e host.End) string {
	text := string(e.Reason)
	if at := moment(e.At); at != "" {
		text += ", " + at
	}
	if e.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *e.ExitCode)
	}
	if e.OOMKilled {
		text += ", out of memory"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// moment is a time for people; empty when there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.RFC3339)
}
