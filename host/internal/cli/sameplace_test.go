package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

func TestSameplace(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s := host.Session{ID: "a", ChatID: "6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f", Template: "default", Status: host.StatusRunning, ExpiresAt: noon.Add(1500 * time.Millisecond)}
	ended := s
	ended.Status, ended.Ended = host.StatusEnded, &host.End{Reason: host.ReasonExpired}
	show := func(sc screen) string {
		var out bytes.Buffer
		sc.out, sc.plain = &out, true
		p := newSameplace(sc)
		p.show([]host.Session{s}, noon)
		p.show([]host.Session{s}, noon.Add(time.Second))
		p.show([]host.Session{ended}, noon.Add(2*time.Second))
		return out.String()
	}
	at := func(d time.Duration) string { return clock(noon.Add(d)) }

	// Elsewhere than on a terminal: a line when the status is another.
	want := at(0) + "  chat 6f1c1f9e  running  TTL left 1.5s\n" + at(2*time.Second) + "  chat 6f1c1f9e  ended (expired)  TTL left -\n"
	if got := show(screen{}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	// On a terminal: two lines, then the same two again.
	const head, wider = "\x1b[2KCHAT      AGENT  TEMPLATE  STATUS   TTL LEFT  ENDPOINT\n", "\x1b[2KCHAT      AGENT  TEMPLATE  STATUS           TTL LEFT  ENDPOINT\n"
	want = head + "\x1b[2K6f1c1f9e  -      default   running  1.5s      -\n" +
		"\x1b[2A" + head + "\x1b[2K6f1c1f9e  -      default   running  500ms     -\n" +
		"\x1b[2A" + wider + "\x1b[2K6f1c1f9e  -      default   ended (expired)  -         -\n"
	if got := show(screen{size: func() (int, int) { return 100, 24 }}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
