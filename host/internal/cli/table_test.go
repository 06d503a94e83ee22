package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/berth-dev/berth/host"
)

var escapes = regexp.MustCompile("\x1b\\[[0-9]*m")

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func someSessions() []host.Session {
	return []host.Session{
		{ID: "0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a", ChatID: "6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f", AgentID: "an agent with a märchenhaft long name",
			Template: "default", Status: host.StatusRunning, ExpiresAt: noon.Add(5*time.Minute - time.Millisecond),
			Endpoint: &host.Endpoint{IP: "172.20.0.8", Port: 8000}},
		{ID: "1b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a", ChatID: "7f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f",
			Template: "default", Status: host.StatusEnded, ExpiresAt: noon, Ended: &host.End{Reason: host.ReasonOOMKilled}},
		{ID: "2b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a", ChatID: "8f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f", Template: "x", Status: host.StatusCreating},
		{ID: "3b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a", ChatID: "9f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f", Template: "x", Status: host.StatusStopping, ExpiresAt: noon.Add(-time.Hour)},
	}
}

func wide(columns int) screen {
	return screen{plain: true, size: func() (int, int) { return columns, 24 }}
}

func TestTableIsAligned(t *testing.T) {
	got := screen{plain: true}.table(sessionColumns(), someSessions(), noon)
	want := []string{
		"SESSION                               CHAT                                  AGENT                                  TEMPLATE  STATUS              TTL LEFT  ENDPOINT",
		"0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a  6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f  an agent with a märchenhaft long name  default   running             4m59s     172.20.0.8:8000",
		"1b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a  7f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f  -                                      default   ended (oom_killed)  -         -",
		"2b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a  8f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f  -                                      x         creating            -         -",
		"3b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a  9f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f  -                                      x         stopping            0s        -",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What a narrow terminal loses first is what can be had elsewhere.
func TestTableFitsTheTerminal(t *testing.T) {
	for _, c := range []struct {
		columns int
		heads   string
	}{
		{170, "SESSION CHAT AGENT TEMPLATE STATUS TTL LEFT ENDPOINT"},
		{130, "SESSION CHAT AGENT TEMPLATE STATUS TTL LEFT ENDPOINT"},
		{105, "SESSION CHAT AGENT TEMPLATE STATUS TTL LEFT"},
		{90, "SESSION CHAT TEMPLATE STATUS TTL LEFT"},
		{80, "SESSION CHAT STATUS TTL LEFT"},
		{70, "SESSION STATUS TTL LEFT"},
		{50, "SESSION STATUS"},
		{36, "SESSION"},
		{20, "SESSION"},
	} {
		lines := wide(c.columns).table(sessionColumns(), someSessions(), noon)
		if got := regexp.MustCompile(` +`).ReplaceAllString(lines[0], " "); got != c.heads {
			t.Errorf("%d columns show %q, want %q", c.columns, got, c.heads)
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > c.columns {
				t.Errorf("a line of %d characters in %d columns: %q", n, c.columns, l)
			}
		}
		if whole := strings.HasPrefix(lines[1], someSessions()[0].ID); whole != (c.columns >= 36) {
			t.Errorf("in %d columns the session's id is cut, or is not: %q", c.columns, lines[1])
		}
	}
}

func TestColours(t *testing.T) {
	s := screen{size: func() (int, int) { return 200, 24 }}
	coloured := s.table(sessionColumns(), someSessions(), noon)
	for i, want := range []string{"\x1b[1mSESSION\x1b[0m", "\x1b[32mrunning\x1b[0m", "\x1b[31mended (oom_killed)\x1b[0m", "\x1b[36mcreating\x1b[0m", "\x1b[33mstopping\x1b[0m"} {
		if !strings.Contains(coloured[i], want) {
			t.Errorf("no %q in %q", want, coloured[i])
		}
	}
	plain := screen{plain: true}.table(sessionColumns(), someSessions(), noon)
	for i := range plain {
		if got := escapes.ReplaceAllString(coloured[i], ""); got != plain[i] {
			t.Errorf("colours move the text: %q, without %q", got, plain[i])
		}
	}
}
