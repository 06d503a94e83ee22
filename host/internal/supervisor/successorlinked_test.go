package supervisor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// A plugin that is linked in stays the one that it is.
func TestASuccessorOfALinkedPlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := mem.NewBackend("A")
		plugin := supervisor.Value(mem.Plugin(backend))
		o := &observer{}
		s, err := supervisor.New(supervisor.Options{Name: "mock", Settings: settings{config: `{"ip":"10.0.0.1"}`}, Launcher: plugin, Observer: o})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		if err := s.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		refused := func(other settings, words string) {
			t.Helper()
			c, err := s.Successor(ctx, plugin, other)
			if !errors.As(err, new(*supervisor.RefusedError)) || !contains(err, words) {
				t.Errorf("got %v, want words of %q", err, words)
			}
			c.Discard()
		}
		refused(settings{config: `{"ip":"10.0.0.2"}`}, "with a restart alone")
		refused(settings{config: `{"reject":"no such colour"}`}, "no such colour")
		refused(settings{bindErr: errors.New("config.hcl:9: unknown name")}, "config.hcl:9")
		for range 3 {
			c, err := s.Successor(ctx, plugin, settings{config: `{"ip":"10.0.0.1"}`})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Err(), c.Use(ctx)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if r := s.Report(); r.State != lifecycle.Ready || r.Generation != 1 || r.Restarts != 0 || len(o.reasons()) != 0 {
				t.Errorf("report %+v", r)
			}
		}
		<-time.After(time.Minute)
		if r := s.Report(); r.State != lifecycle.Ready || r.Generation != 1 || backend.Calls(mem.Configure) != 1 {
			t.Errorf("report %+v, %d configures", r, backend.Calls(mem.Configure))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	// One that was refused is tried again with the new settings.
	synctest.Test(t, func(t *testing.T) {
		plugin := supervisor.Value(mem.Plugin(mem.NewBackend("A")))
		s, err := supervisor.New(supervisor.Options{Name: "mock", Settings: settings{config: `{"reject":"no such colour"}`}, Launcher: plugin})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		<-time.After(time.Minute)
		c, err := s.Successor(ctx, plugin, settings{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Use(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if st := s.Status(); st.State != lifecycle.Ready {
			t.Errorf("%s: %v", st.State, st.Err)
		}
		cancel()
		<-ended
	})
}

// Settings that come while it is being configured wait for it, and are compared with what
// it has got.
func TestASuccessorOfALinkedPluginThatStarts(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		failed bool // the start before this one
		want   lifecycle.BackendState
		words  string // of the refusal
	}{
		"the same":                {config: `{"ip":"10.0.0.1"}`, want: lifecycle.Ready},
		"another":                 {config: `{"ip":"10.0.0.2"}`, want: lifecycle.Ready, words: "with a restart alone"},
		"the same, after a delay": {config: `{"ip":"10.0.0.1"}`, failed: true, want: lifecycle.Ready},
		"another, after a delay":  {config: `{"ip":"10.0.0.2"}`, failed: true, want: lifecycle.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := mem.NewBackend("A")
				plugin := supervisor.Value(mem.Plugin(backend))
				s, err := supervisor.New(supervisor.Options{Name: "mock", Settings: settings{config: `{"ip":"10.0.0.1"}`}, Launcher: plugin})
				if err != nil {
					t.Fatal(err)
				}
				if c.failed {
					backend.Fail(mem.Configure, mem.Fault{Times: 1, Err: provider.Internal})
				}
				backend.Fail(mem.Configure, mem.Fault{Times: 1, Delay: 5 * time.Second})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- s.Run(ctx) }()
				defer func() { cancel(); <-ended }()
				synctest.Wait()
				next, err := s.Successor(ctx, plugin, settings{config: c.config})
				if c.words != "" {
					if !errors.As(err, new(*supervisor.RefusedError)) || !contains(err, c.words) {
						t.Errorf("got %v", err)
					}
				} else if err != nil {
					t.Fatal(err)
				} else {
					<-time.After(time.Second) // it is at it again, where it had failed
					if err := next.Use(ctx); err != nil {
						t.Error(err)
					}
				}
				<-time.After(time.Minute)
				if st := s.Status(); st.State != c.want || c.want != lifecycle.Ready && !contains(st.Err, "with a restart alone") {
					t.Errorf("%s: %v", st.State, st.Err)
				}
			})
		})
	}
}
