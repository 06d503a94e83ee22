package supervisor_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// bench is a supervisor in virtual time, with all that is around it.
type bench struct {
	*supervisor.Supervisor
	t        *testing.T
	backend  *mem.Backend
	launcher *launcher
	engine   *engine
	observer *observer
	journal  *journal
	accept   atomic.Value // string: accept_backend
	end      context.CancelFunc
	ended    chan error
}

// bubble runs f with a supervisor that was made and not yet run.
func bubble(t *testing.T, s settings, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		backend := mem.NewBackend("A")
		b := &bench{t: t, backend: backend, launcher: &launcher{backend: backend},
			engine: &engine{}, observer: &observer{}, journal: &journal{}, ended: make(chan error, 1)}
		made, err := supervisor.New(supervisor.Options{Name: "mock", Launcher: b.launcher, Settings: s,
			Owner: "owner", Engine: b.engine, Observer: b.observer, Logger: slog.New(b.journal),
			AcceptBackend: func() string { accepted, _ := b.accept.Load().(string); return accepted }})
		if err != nil {
			t.Fatal(err)
		}
		b.Supervisor = made
		defer b.stop()
		f(t, b)
	})
}

func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	b.end = cancel
	go func() { b.ended <- b.Run(ctx) }()
}

// stop ends it and waits.
func (b *bench) stop() {
	b.t.Helper()
	if b.end == nil {
		return
	}
	b.end()
	b.end = nil
	if err := <-b.ended; err != nil {
		b.t.Errorf("Run: %v", err)
	}
	if st := b.Status(); st.State != lifecycle.Stopped {
		b.t.Errorf("after Run the state is %s", st.State)
	}
}

// pass lets virtual time pass.
func (b *bench) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// die ends the life of the plugin, and lets the news come through.
func (b *bench) die() {
	b.launcher.last().die("exit status 7")
	synctest.Wait()
}

func (b *bench) ready() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

func (b *bench) wantState(want lifecycle.BackendState) {
	b.t.Helper()
	if st := b.Status(); st.State != want {
		b.t.Fatalf("state %s (%v), want %s", st.State, st.Err, want)
	}
}

// wantUnavailable checks an error's class and words.
func wantUnavailable(t *testing.T, err error, words ...string) {
	t.Helper()
	if provider.ClassOf(err) != provider.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

func spec(session string) provider.Spec {
	return provider.Spec{Name: "berth-owner-" + session, Owner: "owner", SessionID: session, ChatID: session, Template: "t", RequestHash: "h",
		Image: "agent", Digest: mem.Digest("agent"),
		CreatedAt: time.Now().UTC(), ExpiresAt: time.Now().UTC().Add(time.Minute), Config: []byte("{}")}
}

func contains(err error, words string) bool { return strings.Contains(err.Error(), words) }
