package cli

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/control"
)

// fakeHost answers what it is told to, on a socket.
type fakeHost struct {
	control.Host // whatever else is asked for panics

	sessions []host.Session
	chunks   []host.LogChunk
	err      error           // of every verb
	events   chan host.Event // after the snapshot
}

func (h *fakeHost) Get(_ context.Context, id string) (host.Session, error) {
	return host.Session{ID: id, Metadata: map[string]string{"note": "one\ntwo\x1b[2J"}, Status: host.StatusEnded,
		Ended: &host.End{Reason: host.ReasonOOMKilled, OOMKilled: true, ExitCode: new(137), Message: "too\x07 much"}}, h.err
}

func (h *fakeHost) ListPage(_ context.Context, _ host.Filter, page host.Page) ([]host.Session, *host.Cursor, error) {
	from := 0
	for i, s := range h.sessions {
		if s.ID == page.After.ID {
			from = i + 1
		}
	}
	to := min(from+page.Size, len(h.sessions))
	if to == len(h.sessions) {
		return h.sessions[from:], nil, h.err
	}
	last := h.sessions[to-1]
	return h.sessions[from:to], &host.Cursor{CreatedAt: last.CreatedAt, ID: last.ID}, h.err
}

func (h *fakeHost) Logs(_ context.Context, _ string, _ host.LogsRequest, yield func(host.LogChunk) error) error {
	for _, c := range h.chunks {
		if err := yield(c); err != nil {
			return err
		}
	}
	return h.err
}

func (h *fakeHost) Watch(ctx context.Context) iter.Seq[host.Event] {
	return func(yield func(host.Event) bool) {
		for _, s := range h.sessions {
			if !yield(host.Event{Type: host.EventSnapshot, Session: s}) {
				return
			}
		}
		if !yield(host.Event{Type: host.EventSynced}) {
			return
		}
		for {
			select {
			case ev := <-h.events:
				if !yield(ev) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// serve is the path of the socket on which h answers until the test ends.
func serve(t *testing.T, h control.Host) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bcli-") // short, for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := control.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	server := control.New(h, control.Options{})
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := control.Serve(ctx, l, server.Handler(), slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { server.Close(); stop(); work.Wait() })
	return socket
}

func berth(args ...string) (status int, stdout, stderr string) {
	var out, errw bytes.Buffer
	status = Main(context.Background(), args, strings.NewReader(""), &out, &errw)
	return status, out.String(), errw.String()
}

// Output goes where the sandbox has sent it, byte by byte, also when an error follows.
func TestLogsAreRaw(t *testing.T) {
	h := &fakeHost{chunks: []host.LogChunk{{Data: []byte("out\x00\xff")}, {Stderr: true, Data: []byte("\x1b[31merr")}, {Data: []byte("more\n")}}}
	socket := serve(t, h)
	if status, out, errw := berth("logs", "--socket", socket, "x"); status != 0 || out != "out\x00\xffmore\n" || errw != "\x1b[31merr" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errw)
	}
	h.err = &host.Error{Code: host.CodeUnavailable, Op: "logs", Message: "the provider went away"}
	if status, out, errw := berth("logs", "--socket", socket, "x"); status != 1 || out != "out\x00\xffmore\n" ||
		errw != "\x1b[31merrberth: logs: the provider went away (unavailable)\n" {
		t.Errorf("status %d, stdout %q, stderr %q", status, out, errw)
	}
}

// list is as long as the host's, however many pages that takes.
func TestListHasEveryPage(t *testing.T) {
	h := &fakeHost{}
	for i := range 1234 {
		s := running(i, 0)
		s.AgentID = s.ID
		h.sessions = append(h.sessions, s)
	}
	_, out, _ := berth("list", "--socket", serve(t, h))
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")[1:]
	if len(lines) != len(h.sessions) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, l := range lines {
		if !strings.HasPrefix(l, h.sessions[i].ID+"  ") {
			t.Fatalf("line %d: %q", i, l)
		}
	}
}

// What a caller or a sandbox wrote does not steer the terminal, and -o json has it whole.
func TestDetailsArePlainText(t *testing.T) {
	socket := serve(t, &fakeHost{})
	_, out, _ := berth("get", "--socket", socket, "x")
	for _, want := range []string{"STATUS    ended\n", "METADATA  note=one\n          two\ufffd[2J\n", "ENDED     oom_killed, exit code 137, out of memory: too\ufffd much\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, out, _ := berth("get", "--socket", socket, "x", "-o", "json"); !strings.Contains(out, `"note":"one\ntwo\u001b[2J"`) {
		t.Error(out)
	}
}

// Every code that a host may answer ends a verb with its status, through the whole wire.
func TestEachCodeOfTheHost(t *testing.T) {
	h := &fakeHost{}
	socket := serve(t, h)
	for _, code := range []host.Code{host.CodeSandboxStartFailed, host.CodeSandboxStopFailed, host.CodeSandboxListFailed, host.CodeNotFound, host.CodeConflict,
		host.CodeResourceExhausted, host.CodeUnavailable, host.CodeInvalidArgument, host.CodeUnsupported, host.CodeInternal} {
		h.err = &host.Error{Code: code, Op: "get", ChatID: "c", SessionID: "s", Message: "why"}
		want := 1
		if code == host.CodeNotFound {
			want = 3
		}
		status, out, errw := berth("get", "x", "--socket", socket, "-o", "json")
		if status != want || errw != "berth: get: why ("+string(code)+")\n" ||
			out != `{"error":{"code":"`+string(code)+`","message":"get: why","chat_id":"c","session_id":"s"}}`+"\n" {
			t.Errorf("%s: status %d, stdout %q, stderr %q", code, status, out, errw)
		}
	}
}
