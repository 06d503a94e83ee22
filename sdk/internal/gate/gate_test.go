package gate_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/sdk/internal/gate"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counted counts the drains of a plugin, and may hold its Configure.
type counted struct {
	provider.Plugin
	drains atomic.Int32
	hold   chan struct{}
	panics bool
}

func (c *counted) Configure(ctx context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	if c.panics {
		panic("boom")
	}
	if c.hold != nil {
		<-c.hold
	}
	return c.Plugin.Configure(ctx, req)
}

func (c *counted) Drain(ctx context.Context) error {
	c.drains.Add(1)
	return c.Plugin.Drain(ctx)
}

func wrap(b *mem.Backend) (provider.Plugin, *counted) {
	inner := &counted{Plugin: mem.Plugin(b)}
	return gate.Wrap(inner), inner
}

func configure(t *testing.T, p provider.Plugin) {
	t.Helper()
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
}

// verbs are all the calls of a provider.
func verbs(ctx context.Context, p provider.Provider) map[string]error {
	var calls = map[string]error{}
	_, calls["prepare"] = p.Prepare(ctx, provider.PrepareRequest{Image: "i"})
	_, calls["create"] = p.Create(ctx, provider.Spec{SessionID: "s"})
	_, calls["get"] = p.Get(ctx, provider.Ref{Name: "n"})
	_, calls["list"] = p.List(ctx, func(provider.Sandbox) error { return nil })
	_, calls["stop"] = p.Stop(ctx, provider.StopRequest{ID: "x"})
	_, calls["delete"] = p.Delete(ctx, provider.DeleteRequest{ID: "x"})
	_, calls["health"] = p.Health(ctx)
	_, calls["identity"] = p.Identity(ctx)
	calls["logs"] = p.(provider.LogReader).Logs(ctx, provider.LogsRequest{ID: "x"}, func(provider.LogChunk) error { return nil })
	calls["events"] = p.(provider.EventSource).Events(ctx, func() {}, func(provider.Event) error { return nil })
	return calls
}

func TestVerbsOutsideOfTheGate(t *testing.T) {
	b := mem.NewBackend("b")
	p, _ := wrap(b)
	check := func(words string) {
		t.Helper()
		for verb, err := range verbs(t.Context(), p.Provider()) {
			if !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), words) || !strings.HasPrefix(err.Error(), verb) {
				t.Errorf("%s: %v; want unavailable, %q", verb, err, words)
			}
			if n := b.Calls(mem.Verb(verb)); n != 0 {
				t.Errorf("%s was called %d times behind the gate", verb, n)
			}
		}
	}
	check("not configured yet")
	configure(t, p)
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("draining")
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); !errors.Is(err, provider.Unavailable) {
		t.Errorf("configure after drain: %v", err)
	}
}

func TestConfigureOnce(t *testing.T) {
	b := mem.NewBackend("b")
	p, _ := wrap(b)
	b.Fail(mem.Configure, mem.Fault{Times: 1, Err: provider.Exhausted})
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); !errors.Is(err, provider.Exhausted) {
		t.Fatalf("got %v", err)
	}
	configure(t, p) // one that failed may be tried again
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); !errors.Is(err, provider.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	if gate.Wrap(p) != p {
		t.Error("a gate got another gate")
	}
}

func TestConfigurePanics(t *testing.T) {
	p, inner := wrap(mem.NewBackend("b"))
	inner.panics = true
	func() {
		defer func() { _ = recover() }()
		_, _ = p.Configure(t.Context(), provider.ConfigureRequest{})
		t.Error("the panic was swallowed: the boundary tells it")
	}()
	inner.panics = false
	configure(t, p)
}

func TestDrainWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.NewBackend("b")
		p, inner := wrap(b)
		configure(t, p)
		b.Fail(mem.Identity, mem.Fault{Delay: time.Minute})
		called := make(chan error, 1)
		go func() {
			_, err := p.Provider().Identity(t.Context())
			called <- err
		}()
		streams := make(chan error, 1)
		go func() {
			streams <- p.Provider().(provider.EventSource).Events(t.Context(), func() {}, func(provider.Event) error { return nil })
		}()
		synctest.Wait()

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Drain(short)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, provider.Canceled) || !strings.Contains(err.Error(), "in flight") {
			t.Errorf("a drain that is too short: %v", err)
		}
		if err := <-streams; !errors.Is(err, provider.Unavailable) {
			t.Errorf("the event stream ended with %v", err)
		}
		if inner.drains.Load() != 0 {
			t.Error("the plugin was drained under a call")
		}
		begun := time.Now()
		if err := p.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(begun); d != 59*time.Second {
			t.Errorf("drained after %s", d)
		}
		if err := <-called; err != nil {
			t.Errorf("the call in flight: %v", err)
		}
		if err := p.Drain(t.Context()); err != nil || inner.drains.Load() != 1 {
			t.Errorf("drained again: %v, %d drains", err, inner.drains.Load())
		}
	})
}

// TestDrainWaitsForConfigure: what Configure opens is closed, also when the host gives up
// in the middle of it.
func TestDrainWaitsForConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, inner := wrap(mem.NewBackend("b"))
		inner.hold = make(chan struct{})
		configured, drained := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := p.Configure(t.Context(), provider.ConfigureRequest{})
			configured <- err
		}()
		synctest.Wait()
		go func() { drained <- p.Drain(t.Context()) }()
		synctest.Wait()
		if inner.drains.Load() != 0 {
			t.Error("the plugin was drained while it was being configured")
		}
		close(inner.hold)
		if err := <-configured; err != nil {
			t.Error(err)
		}
		if err := <-drained; err != nil || inner.drains.Load() != 1 {
			t.Errorf("%v, %d drains", err, inner.drains.Load())
		}
	})
}
