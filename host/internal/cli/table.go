package cli

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/berth-dev/berth/host"
)

// column is one column of a table of sessions.
type column struct {
	name string
	text func(s host.Session, now time.Time) string
}

// The columns, in their order.
var (
	columnSession  = column{"SESSION", func(s host.Session, _ time.Time) string { return s.ID }}
	columnChat     = column{"CHAT", func(s host.Session, _ time.Time) string { return s.ChatID }}
	columnAgent    = column{"AGENT", func(s host.Session, _ time.Time) string { return dash(s.AgentID) }}
	columnTemplate = column{"TEMPLATE", func(s host.Session, _ time.Time) string { return s.Template }}
	columnStatus   = column{"STATUS", func(s host.Session, _ time.Time) string { return statusOf(s) }}
	columnLeft     = column{"TTL LEFT", left}
	columnEndpoint = column{"ENDPOINT", func(s host.Session, _ time.Time) string { return dash(address(s)) }}
)

const (
	shortID    = 8  // of a UUID, where there is no room
	shortAgent = 12 // likewise
	gap        = 2  // between columns
	fewest     = 8  // characters that are worth a column
)

func sessionColumns() []column {
	return []column{columnSession, columnChat, columnAgent, columnTemplate, columnStatus, columnLeft, columnEndpoint}
}

// cut is the column with texts of at most n characters.
func (c column) cut(n int, end string) column {
	whole := c.text
	c.text = func(s host.Session, now time.Time) string {
		t := whole(s, now)
		if utf8.RuneCountInString(t) <= n {
			return t
		}
		return string([]rune(t)[:n-utf8.RuneCountInString(end)]) + end
	}
	return c
}

// table draws sessions as lines, the heads first. Where the screen has too few columns the
// ids of chats and agents are cut, then whole columns are left out, and at last the
// end of the line. The id of a session stays whole as long as it fits.
func (s screen) table(columns []column, rows []host.Session, now time.Time) []string {
	width := s.width()
	for _, narrower := range []func() []column{
		func() []column { return replace(columns, columnChat.cut(shortID, "")) },
		func() []column { return replace(columns, columnAgent.cut(shortAgent, "…")) },
		func() []column { return without(columns, "ENDPOINT") },
		func() []column { return without(columns, "AGENT") },
		func() []column { return without(columns, "TEMPLATE") },
		func() []column { return without(columns, "CHAT") },
	} {
		if width == 0 || total(columns, rows, now) <= width {
			break
		}
		columns = narrower()
	}
	widths := measure(columns, rows, now)
	lines := []string{s.line(columns, widths, width, func(c column) (string, style) { return c.name, bold })}
	for _, r := range rows {
		lines = append(lines, s.line(columns, widths, width, func(c column) (string, style) {
			if c.name == columnStatus.name {
				return c.text(r, now), styleOf(r)
			}
			return c.text(r, now), ""
		}))
	}
	return lines
}

// line is one line, of at most width characters when width is not 0.
func (s screen) line(columns []column, widths []int, width int, cell func(column) (string, style)) string {
	var b strings.Builder
	at, used := 0, 0 // where the column begins, and where the text ended
	for i, c := range columns {
		text, st := cell(c)
		if width > 0 && i > 0 && width-at < min(widths[i], fewest) {
			break
		}
		n := utf8.RuneCountInString(text)
		if room := width - at; width > 0 && n > room {
			text, n = string([]rune(text)[:room-1])+"…", room
		}
		b.WriteString(strings.Repeat(" ", at-used) + s.paint(text, st))
		used = at + n
		at += widths[i] + gap
	}
	return b.String()
}

func measure(columns []column, rows []host.Session, now time.Time) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.name)
		for _, r := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text(r, now)))
		}
	}
	return widths
}

func total(columns []column, rows []host.Session, now time.Time) int {
	sum := gap * (len(columns) - 1)
	for _, w := range measure(columns, rows, now) {
		sum += w
	}
	return sum
}

func replace(columns []column, by column) []column {
	columns = slices.Clone(columns)
	for i, c := range columns {
		if c.name == by.name {
			columns[i] = by
		}
	}
	return columns
}

func without(columns []column, name string) []column {
	return slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.name == name })
}

func statusOf(s host.Session) string {
	if s.Ended != nil {
		return fmt.Sprintf("%s (%s)", s.Status, s.Ended.Reason)
	}
	return string(s.Status)
}

// left is how long a session still has, in whole seconds.
func left(s host.Session, now time.Time) string {
	if s.Ended != nil || s.ExpiresAt.IsZero() {
		return "-"
	}
	return max(0, s.ExpiresAt.Sub(now)).Truncate(time.Second).String()
}

func address(s host.Session) string {
	if s.Endpoint == nil {
		return ""
	}
	return net.JoinHostPort(s.Endpoint.IP, strconv.Itoa(s.Endpoint.Port))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func short(id string) string   { return id[:min(shortID, len(id))] }
func clock(t time.Time) string { return t.Local().Format(time.TimeOnly) }
