//go:build linux

package process

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// read reads a log as text.
func (r *rig) read(t *testing.T, req provider.LogsRequest) (stdout, stderr string) {
	t.Helper()
	err := r.Logs(t.Context(), req, func(c provider.LogChunk) error {
		if len(c.Data) > 64<<10 {
			t.Errorf("a chunk of %d bytes", len(c.Data))
		}
		if c.Stderr {
			stderr += string(c.Data)
		} else {
			stdout += string(c.Data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return stdout, stderr
}

func shell(script string) func(*provider.Spec) {
	return func(s *provider.Spec) { s.Command, s.Port = []string{"sh", "-c", script}, 0 }
}

func TestLogs(t *testing.T) {
	r := newRig(t, Config{})
	s := r.create(r.newSpec(shell("echo one; echo two >&2; echo three; echo four; printf five; sleep 0.2"))).Sandbox
	stdout, stderr := r.read(t, provider.LogsRequest{ID: s.ID, Follow: true}) // returns when it has ended
	if stdout != "one\nthree\nfour\nfive" || stderr != "two\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	if stdout, _ := r.read(t, provider.LogsRequest{ID: s.ID, Tail: 2}); stdout != "four\nfive" {
		t.Errorf("the last two lines: %q", stdout)
	}
	if stdout, stderr := r.read(t, provider.LogsRequest{ID: s.ID, Since: time.Now().Add(time.Minute)}); stdout+stderr != "" {
		t.Errorf("since later: %q %q", stdout, stderr)
	}
	r.delete(s)
	err := r.Logs(t.Context(), provider.LogsRequest{ID: s.ID}, func(provider.LogChunk) error { return nil })
	if provider.ClassOf(err) != provider.NotFound {
		t.Errorf("of a missing sandbox: %v", err)
	}
}

// The command can open its output by its name, as scripts and log settings do.
func TestLogsByName(t *testing.T) {
	r := newRig(t, Config{})
	s := r.create(r.newSpec(shell("echo one > /dev/stdout; echo two > /dev/stderr; sleep 0.2"))).Sandbox
	if stdout, stderr := r.read(t, provider.LogsRequest{ID: s.ID, Follow: true}); stdout != "one\n" || stderr != "two\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
}

// The log keeps the newest, within its caps, and one who follows gets all of it in order.
func TestLogCaps(t *testing.T) {
	config := Config{Log: LogConfig{MaxSize: 64 << 10, MaxFiles: 2}}
	r := newRig(t, config)
	s := r.create(r.newSpec(shell("i=0; while [ $i -lt 40000 ]; do echo $i; i=$((i+1)); done; sleep 1"))).Sandbox
	followed, _ := r.read(t, provider.LogsRequest{ID: s.ID, Follow: true})
	kept, _ := r.read(t, provider.LogsRequest{ID: s.ID})
	if len(kept) > 128<<10 || !strings.HasSuffix(kept, "\n39999\n") || strings.HasPrefix(kept, "0\n") {
		t.Errorf("%d bytes are kept: %.20q … %q", len(kept), kept, kept[max(0, len(kept)-20):])
	}
	if lines := strings.Fields(followed); !strings.HasSuffix(followed, "\n39999\n") || slices.Contains(lines, "") {
		t.Errorf("followed %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestTailOf(t *testing.T) {
	frames := framesOf("a\nb", "\nc\n", "d\ne\n")
	for n, want := range map[int]string{1: "e\n", 2: "d\ne\n", 3: "c\nd\ne\n", 4: "b\nc\nd\ne\n", 5: "a\nb\nc\nd\ne\n", 9: "a\nb\nc\nd\ne\n"} {
		got := ""
		for _, f := range tailOf(frames, n) {
			got += string(f.Data)
		}
		if got != want {
			t.Errorf("the last %d lines: %q, want %q", n, got, want)
		}
	}
}

// Events tell of starts, ends and removals as they happen, of sandboxes of an earlier
// generation too.
func TestEvents(t *testing.T) {
	config := Config{StateDir: stateDirFor(t)}
	earlier := newRig(t, config)
	old := earlier.create(earlier.newSpec()).Sandbox
	r := newRig(t, config)
	events := make(chan provider.Event, 100)
	ready := make(chan struct{})
	over := make(chan error, 1)
	go func() {
		over <- r.Events(t.Context(), func() { close(ready) }, func(ev provider.Event) error { events <- ev; return nil })
	}()
	<-ready
	next := func(id string, kind provider.EventKind) {
		t.Helper()
		select {
		case ev := <-events:
			if ev.SandboxID != id || ev.Kind != kind || ev.SessionID == "" || ev.At.IsZero() {
				t.Errorf("event = %+v, want %s of %s", ev, kind, id)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no event %s of %s", kind, id)
		}
	}
	s := r.create(r.newSpec()).Sandbox
	next(s.ID, provider.EventStarted)
	r.delete(s)
	got := map[provider.EventKind]bool{}
	for range 2 { // the end is seen by another goroutine than the removal
		ev := <-events
		got[ev.Kind] = ev.SandboxID == s.ID
	}
	if !got[provider.EventExited] || !got[provider.EventRemoved] {
		t.Errorf("events of a delete = %v", got)
	}
	earlier.delete(old)
	next(old.ID, provider.EventExited)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-over; provider.ClassOf(err) != provider.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}
