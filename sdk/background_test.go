package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// withBackground is a plugin whose goroutine panics at the first call of Identity.
func withBackground() provider.Plugin {
	return sdk.Define(sdk.Definition[conf, conf]{Name: "background", Open: func(_ context.Context, env sdk.Env, _ conf) (provider.Provider, error) {
		b := mem.NewBackend("b")
		env.Go(func(ctx context.Context) {
			if b.AwaitCalls(ctx, mem.Identity, 1) == nil {
				panic("boom in the background")
			}
		})
		return b.Provider(), nil
	}})
}

// The goroutines of a provider are told to end by Drain, which waits for them before it
// closes the provider.
func TestBackgroundIsDrained(t *testing.T) {
	var order []string
	p := sdk.Define(sdk.Definition[conf, conf]{Name: "background", Open: func(_ context.Context, env sdk.Env, _ conf) (provider.Provider, error) {
		for range 3 {
			env.Go(func(ctx context.Context) { <-ctx.Done() })
		}
		done := make(chan struct{})
		env.Go(func(ctx context.Context) { <-ctx.Done(); order = append(order, "ended"); close(done) })
		return &closeTold{Provider: mem.NewBackend("b").Provider(), told: func() { order = append(order, "closed") }}, nil
	}})
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := p.Drain(t.Context()); err != nil || strings.Join(order, " ") != "ended closed" {
		t.Errorf("%q, %v", order, err)
	}
}

type closeTold struct {
	provider.Provider
	told func()
}

func (c *closeTold) Close() error { c.told(); return nil }

// One that does not listen is told of, within the deadline of Drain.
func TestBackgroundThatStays(t *testing.T) {
	stay := make(chan struct{})
	ended := make(chan struct{})
	p := sdk.Define(sdk.Definition[conf, conf]{Name: "background", Open: func(_ context.Context, env sdk.Env, _ conf) (provider.Provider, error) {
		env.Go(func(context.Context) { <-stay; close(ended) })
		return mem.NewBackend("b").Provider(), nil
	}})
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Drain(ctx); !errors.Is(err, provider.Canceled) || !strings.Contains(err.Error(), "goroutines of the provider did not end") {
		t.Error(err)
	}
	close(stay)
	<-ended
}

// A panic beside the calls reaches the host's log with its stack, and ends the process, so
// that the host starts another.
func TestBackgroundPanics(t *testing.T) {
	p := start(t, pluginMode+"=background")
	if _, err := p.client.Provider().Identity(t.Context()); err != nil && !errors.Is(err, provider.Unavailable) {
		t.Fatal(err)
	}
	var entry map[string]any
	select {
	case line := <-p.stderr:
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no word of the panic")
	}
	stack, _ := entry["stack"].(string)
	if entry["@level"] != "error" || entry["panic"] != "boom in the background" || !strings.Contains(stack, "background_test.go") {
		t.Errorf("%v", entry)
	}
	if s := p.ends(t, 10*time.Second); s.ExitCode() != 2 {
		t.Errorf("ended with %v", s)
	}
}
