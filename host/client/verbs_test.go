package client_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control"
)

// sandboxes is what a platform may ask for that runs with a host inside or beside it.
type sandboxes interface {
	Create(context.Context, host.CreateRequest) (host.Session, error)
	Ensure(context.Context, host.CreateRequest) (host.Session, error)
	Get(ctx context.Context, id string) (host.Session, error)
	List(context.Context, host.Filter) ([]host.Session, error)
	Extend(ctx context.Context, id string, req host.ExtendRequest) (host.Session, error)
	Stop(ctx context.Context, id string) (host.Session, error)
	Delete(ctx context.Context, id string) error
	Watch(context.Context) iter.Seq[host.Event]
	Logs(ctx context.Context, id string, req host.LogsRequest, yield func(host.LogChunk) error) error
}

var (
	_ sandboxes = (*host.Host)(nil)
	_ sandboxes = (*client.Client)(nil)
)

// Every verb, on a host that is embedded and on one that is called.
func TestVerbs(t *testing.T) {
	w := newWorld(t)
	h, _ := w.host()
	for name, s := range map[string]sandboxes{"host": h, "client": open(t, w.socket)} {
		t.Run(name, func(t *testing.T) { verbs(t, w, s) })
	}
}

func verbs(t *testing.T, w *world, s sandboxes) {
	ctx := within(t)
	want := host.CreateRequest{Template: "default", ChatID: chat, AgentID: "writer", TTL: 90 * time.Second, Metadata: map[string]string{"k": "v"}}
	made, err := s.Create(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	if made.Status != host.StatusRunning || made.ExpiresAt.Sub(made.CreatedAt) != want.TTL || made.ChatID != chat ||
		made.AgentID != "writer" || made.Metadata["k"] != "v" || made.Provider != "mem" || made.SandboxID == "" {
		t.Errorf("create: %+v", made)
	}
	got, err := s.Get(ctx, made.ID)
	if err != nil || !reflect.DeepEqual(got, made) {
		t.Errorf("get: %+v, %v; want %+v", got, err, made)
	}
	want.TTL = time.Second // no push
	ensured, err := s.Ensure(ctx, want)
	if err != nil || ensured.ID != made.ID || !ensured.ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("ensure: %+v, %v; want %+v", ensured, err, made)
	}
	by := host.ExtendRequest{By: time.Minute, Seen: made.ExpiresAt}
	extended, err := s.Extend(ctx, made.ID, by)
	if err != nil || extended.ExpiresAt.Sub(made.ExpiresAt) != time.Minute {
		t.Errorf("extend by: %+v, %v", extended, err)
	}
	_, err = s.Extend(ctx, made.ID, by)
	var conflict *host.Error
	if !errors.As(err, &conflict) || !errors.Is(err, host.CodeConflict) || conflict.Session == nil ||
		!conflict.Session.ExpiresAt.Equal(extended.ExpiresAt) || conflict.Op != "extend" || conflict.SessionID != made.ID {
		t.Errorf("extend by, again: %#v", err)
	}
	until := made.ExpiresAt.Add(2 * time.Minute)
	if extended, err = s.Extend(ctx, made.ID, host.ExtendRequest{Until: until}); err != nil || !extended.ExpiresAt.Equal(until) {
		t.Errorf("extend until: %+v, %v", extended, err)
	}
	for _, f := range []host.Filter{{}, {ChatID: chat}, {AgentID: "writer"}, {Template: "default"}, {Status: host.StatusRunning}} {
		if list, err := s.List(ctx, f); err != nil || len(list) != 1 || list[0].ID != made.ID {
			t.Errorf("list %+v: %+v, %v", f, list, err)
		}
	}
	for _, f := range []host.Filter{{ChatID: "00000000-0000-0000-0000-000000000001"}, {AgentID: "other"}, {Template: "few"}, {Status: host.StatusStopped}} {
		if list, err := s.List(ctx, f); err != nil || len(list) != 0 {
			t.Errorf("list %+v: %+v, %v", f, list, err)
		}
	}
	logs(t, w, s, made)
	if stopped, err := s.Stop(ctx, made.ID); err != nil || stopped.Status != host.StatusStopped {
		t.Errorf("stop: %+v, %v", stopped, err)
	}
	if err := s.Delete(ctx, made.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	if got, err = s.Get(ctx, made.ID); err != nil || got.Status != host.StatusEnded || got.Ended.Reason != host.ReasonDeleted {
		t.Errorf("get after delete: %+v, %v", got, err)
	}
	if list, err := s.List(ctx, host.Filter{}); err != nil || len(list) != 0 {
		t.Errorf("list after delete: %+v, %v", list, err)
	}
	if list, err := s.List(ctx, host.Filter{All: true, AgentID: "writer"}); err != nil || len(list) == 0 {
		t.Errorf("list --all after delete: %+v, %v", list, err)
	}
}

func logs(t *testing.T, w *world, s sandboxes, of host.Session) {
	t.Helper()
	for _, line := range []string{"one", "two", "three"} {
		if !w.backend.Print(of.SandboxID, line, line == "two") {
			t.Fatal("no such sandbox")
		}
	}
	var out bytes.Buffer
	err := s.Logs(within(t), of.ID, host.LogsRequest{Tail: 2}, func(c host.LogChunk) error {
		if c.Stderr {
			out.WriteString("stderr:")
		}
		out.Write(c.Data)
		return nil
	})
	if err != nil || out.String() != "stderr:two\nthree\n" {
		t.Errorf("logs: %q, %v", out.String(), err)
	}
	enough := errors.New("enough")
	err = s.Logs(within(t), of.ID, host.LogsRequest{Follow: true}, func(host.LogChunk) error { return enough })
	if err != enough {
		t.Errorf("logs answers %v, not the error of yield", err)
	}
}

func TestProviders(t *testing.T) {
	w := newWorld(t)
	w.host()
	list, err := open(t, w.socket).Providers(within(t))
	if err != nil || len(list) != 1 || list[0].Name != "mem" || list[0].State != "ready" || list[0].Identity != "memory" ||
		list[0].Generation != 1 || len(list[0].Capabilities) == 0 {
		t.Errorf("providers: %+v, %v", list, err)
	}
}

// A host that a platform has mounted behind TLS.
func TestBaseURL(t *testing.T) {
	w := newWorld(t)
	h, _ := w.host()
	mux := http.NewServeMux()
	mux.Handle("/one/", http.StripPrefix("/one", h.Handler()))
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	c := open(t, "", client.WithBaseURL(s.URL+"/one"), client.WithHTTPClient(s.Client()))
	made := create(t, c)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	for ev := range c.Watch(ctx) {
		if ev.Type == client.EventSnapshot && ev.Session.ID == made.ID {
			return
		}
	}
	t.Error("the watch ended without the session")
}

// Without an HTTP client of the caller's the client has its own, here without TLS.
func TestBaseURLPlain(t *testing.T) {
	w := newWorld(t)
	h, _ := w.host()
	s := httptest.NewServer(h.Handler())
	t.Cleanup(s.Close)
	c := open(t, "", client.WithBaseURL(s.URL+"/"))
	create(t, c)
	for range c.Watch(within(t)) {
		break
	}
}

// traced keeps the trace that a call has brought.
type traced struct {
	control.Host
	seen chan trace.SpanContext
}

func (h traced) Get(ctx context.Context, _ string) (host.Session, error) {
	h.seen <- trace.SpanContextFromContext(ctx)
	return host.Session{ID: chat}, nil
}

func TestTraceGoesAlong(t *testing.T) {
	h := traced{seen: make(chan trace.SpanContext, 1)}
	c := open(t, serveFake(t, h))
	want := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	if _, err := c.Get(trace.ContextWithSpanContext(within(t), want), chat); err != nil {
		t.Fatal(err)
	}
	if got := <-h.seen; got.TraceID() != want.TraceID() || got.SpanID() != want.SpanID() {
		t.Errorf("the host has seen %+v, want %+v", got, want)
	}
}
