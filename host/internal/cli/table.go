package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/berth-dev/berth/host"
)

// table shows sessions: drawn anew in its place on a terminal, a line for each change
// elsewhere.
type table struct {
	out   io.Writer
	live  bool
	drawn int               // lines of the last drawing
	said  map[string]string // by session: the last line
}

func newTable(out io.Writer) *table {
	f, ok := out.(*os.File)
	return &table{out: out, live: ok && term.IsTerminal(int(f.Fd())), said: map[string]string{}}
}

func (t *table) show(rows []host.Session) {
	if t.live {
		t.draw(rows)
		return
	}
	for _, s := range rows {
		line := fmt.Sprintf("%s  chat %s  %s", clock(time.Now()), short(s.ChatID), statusOf(s))
		if key := statusOf(s); t.said[s.ID] != key {
			t.said[s.ID] = key
			fmt.Fprintf(t.out, "%s  TTL left %s\n", line, left(s))
		}
	}
}

func (t *table) draw(rows []host.Session) {
	var b strings.Builder
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.drawn)
	}
	var lines strings.Builder
	w := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHAT\tAGENT\tTEMPLATE\tSTATUS\tTTL LEFT\tENDPOINT")
	for _, s := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", short(s.ChatID), s.AgentID, s.Template, statusOf(s), left(s), dash(address(s)))
	}
	w.Flush()
	for line := range strings.Lines(lines.String()) {
		b.WriteString("\x1b[2K" + line)
	}
	t.drawn = len(rows) + 1
	io.WriteString(t.out, b.String())
}

func statusOf(s host.Session) string {
	if s.Ended != nil {
		return fmt.Sprintf("%s (%s)", s.Status, s.Ended.Reason)
	}
	return string(s.Status)
}

func left(s host.Session) string {
	if s.Ended != nil {
		return "-"
	}
	return max(0, time.Until(s.ExpiresAt)).Round(100 * time.Millisecond).String()
}
