package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// logs reads them into one text; lines of stderr are marked.
func (w *world) logs(ctx context.Context, id string, req api.LogsRequest) (string, error) {
	var text strings.Builder
	err := w.engine.Logs(ctx, id, req, func(c api.LogChunk) error {
		if c.Stderr {
			text.WriteString("! ")
		}
		text.Write(c.Data)
		return nil
	})
	return text.String(), err
}

func TestLogs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.create(id2)
		w.mem.Print(s.SandboxID, "one\ntwo", false)
		w.mem.Print(s.SandboxID, "three", true)
		for tail, want := range map[int]string{0: "one\ntwo\n! three\n", 1: "! three\n", 2: "two\n! three\n", 9: "one\ntwo\n! three\n"} {
			if got, err := w.logs(t.Context(), strings.ToUpper(id1), api.LogsRequest{Tail: tail}); err != nil || got != want {
				t.Errorf("tail %d: %q, %v; want %q", tail, got, err, want)
			}
		}
		if got, err := w.logs(t.Context(), id2, api.LogsRequest{}); err != nil || got != "" {
			t.Errorf("%q, %v", got, err)
		}
		_, err := w.engine.Stop(t.Context(), id1) // a stopped sandbox can still be read
		w.must(err)
		if got, err := w.logs(t.Context(), id1, api.LogsRequest{Tail: 1}); err != nil || got != "! three\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// Following goes on until the sandbox has ended, by whatever.
func TestLogsFollow(t *testing.T) {
	for name, end := range map[string]func(w *world, box string){
		"exited":  func(w *world, box string) { w.mem.Exit(box, 0, false) },
		"deleted": func(w *world, _ string) { w.must(w.engine.Delete(w.t.Context(), id1)) },
		"expired": func(w *world, _ string) { w.pass(5 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				s := w.create(id1)
				w.mem.Print(s.SandboxID, "one\ntwo\n", false)
				var got string
				c := later(func() (_ lifecycle.Session, err error) {
					got, err = w.logs(t.Context(), id1, api.LogsRequest{Tail: 1, Follow: true})
					return lifecycle.Session{}, err
				})
				w.pass(time.Minute)
				w.mem.Print(s.SandboxID, "three\n", false)
				w.pending(c)
				end(w, s.SandboxID)
				if r := w.over(c); r.err != nil || got != "two\nthree\n" {
					t.Errorf("%q, %v", got, r.err)
				}
			})
		})
	}
}

func TestLogsNotFound(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		logs := func(id string, req api.LogsRequest) error {
			_, err := w.logs(t.Context(), id, req)
			return err
		}
		failed(t, logs("x", api.LogsRequest{}), lifecycle.CodeInvalidArgument, "logs: session_id")
		failed(t, logs(id1, api.LogsRequest{}), lifecycle.CodeNotFound, "logs: no session "+id1)

		w.mem.Fail(mem.Create, mem.Fault{Times: 1, Delay: time.Second})
		c := w.createLater(t.Context(), id1)
		e := failed(t, logs(id1, api.LogsRequest{}), lifecycle.CodeNotFound, "logs: session "+id1+" is creating and has no sandbox yet")
		if e.SessionID != id1 || e.ChatID != chat {
			t.Errorf("%+v", e)
		}
		w.pass(time.Second)
		box := w.over(c).session.SandboxID
		failed(t, logs(id1, api.LogsRequest{Tail: -1}), lifecycle.CodeInvalidArgument, "logs: tail: -1 is negative")

		w.unseen()
		w.mem.Vanish(box)
		failed(t, logs(id1, api.LogsRequest{}), lifecycle.CodeNotFound, "logs: ", "there is no such sandbox")
		w.status(id1, lifecycle.StatusRunning) // reading ends nothing
		w.must(w.engine.Delete(t.Context(), id1))
		failed(t, logs(id1, api.LogsRequest{Follow: true}), lifecycle.CodeNotFound, "logs: session "+id1+" has ended (deleted)")
	})
}

func TestLogsUnavailable(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Print(s.SandboxID, "one\ntwo\nthree\n", false)
		w.mem.Fail(mem.Logs, mem.Fault{Times: 1, Cut: 2})
		got, err := w.logs(t.Context(), id1, api.LogsRequest{})
		failed(t, err, lifecycle.CodeUnavailable, "cut off after 2 pieces")
		if got != "one\ntwo\n" {
			t.Errorf("%q", got)
		}
		w.mem.Fail(mem.Logs, mem.Fault{Times: 1, Err: errors.New("no")})
		_, err = w.logs(t.Context(), id1, api.LogsRequest{})
		failed(t, err, lifecycle.CodeInternal, "logs: no")

		follow := later(func() (lifecycle.Session, error) {
			_, err := w.logs(t.Context(), id1, api.LogsRequest{Follow: true})
			return lifecycle.Session{}, err
		})
		w.sup.stop(errors.New("the plugin died"))
		failed(t, w.over(follow).err, lifecycle.CodeUnavailable, "the plugin died")
		_, err = w.logs(t.Context(), id1, api.LogsRequest{})
		failed(t, err, lifecycle.CodeUnavailable, `logs: provider "mem" is not ready`)
		if n := strings.Count(err.Error(), "logs"); n != 1 {
			t.Errorf("the verb comes %d times in %q", n, err)
		}
		w.must(w.sup.start())
		w.sup.degrade(errors.New("backend changed"), true)
		_, err = w.logs(t.Context(), id1, api.LogsRequest{})
		failed(t, err, lifecycle.CodeUnavailable, `logs: provider "mem" is not ready`, "backend changed")
	})
}

// A provider may have no logs: it says so, or has no such verb.
func TestLogsUnsupported(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		for _, err := range []error{provider.Unsupported, errors.ErrUnsupported} {
			w.mem.Fail(mem.Logs, mem.Fault{Times: 1, Err: err})
			_, err = w.logs(t.Context(), id1, api.LogsRequest{})
			failed(t, err, lifecycle.CodeUnsupported, `logs: provider "mem" has no logs`)
		}
		w.crash()
		w.bootOn(func(s *supervisor) lifecycle.Backend { return struct{ lifecycle.Backend }{s} }, slog.DiscardHandler)
		_, err := w.logs(t.Context(), id1, api.LogsRequest{})
		e := failed(t, err, lifecycle.CodeUnsupported, `logs: provider "mem" has no logs`)
		if e.SessionID != id1 {
			t.Errorf("%+v", e)
		}
	})
}

// The reader may stop, with an error of its own, or by leaving.
func TestLogsReaderStops(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.mem.Print(s.SandboxID, "one\ntwo\n", false)
		enough, n := errors.New("enough"), 0
		err := w.engine.Logs(t.Context(), id1, api.LogsRequest{Follow: true}, func(api.LogChunk) error {
			n++
			return enough
		})
		if err != enough || n != 1 {
			t.Errorf("%v after %d pieces", err, n)
		}
		for name, own := range map[string]error{"left": errors.New("the reader left"), "canceled": context.Canceled} {
			ctx, cancel := context.WithCancelCause(t.Context())
			c := later(func() (lifecycle.Session, error) {
				_, err := w.logs(ctx, id1, api.LogsRequest{Follow: true})
				return lifecycle.Session{}, err
			})
			w.pending(c)
			cancel(own)
			if r := w.over(c); r.err != own {
				t.Errorf("%s: %v", name, r.err)
			}
		}
		w.status(id1, lifecycle.StatusRunning)
	})
}
