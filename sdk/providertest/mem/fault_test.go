package mem_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

var errBroken = errors.New("broken")

func TestFaultBeforeAndAfter(t *testing.T) {
	b := mem.NewBackend("b")
	p := b.Provider()
	b.Fail(mem.Create, mem.Fault{Err: errBroken, Times: 1})
	b.Fail(mem.Create, mem.Fault{Err: errBroken, Times: 1, After: true})
	_, err := p.Create(t.Context(), spec(1))
	is(t, "before", err, errBroken)
	if n := len(b.Sandboxes()); n != 0 {
		t.Errorf("a fault before the effect left %d sandboxes", n)
	}
	_, err = p.Create(t.Context(), spec(1))
	is(t, "after", err, errBroken)
	if n := len(b.Sandboxes()); n != 1 {
		t.Errorf("a fault after the effect left %d sandboxes", n)
	}
	if c := create(t, p, spec(1)); c.Outcome != provider.OutcomeAdopted {
		t.Errorf("the lost answer's sandbox: %+v", c)
	}
	if n := b.Calls(mem.Create); n != 3 {
		t.Errorf("%d calls", n)
	}
	b.Fail(mem.Get, mem.Fault{Err: errBroken})
	for range 3 {
		_, err := p.Get(t.Context(), provider.Ref{ID: "x"})
		is(t, "for ever", err, errBroken)
	}
	b.Clear()
	_, err = p.Get(t.Context(), provider.Ref{ID: "x"})
	is(t, "cleared", err, provider.NotFound)
}

func TestFaultTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.NewBackend("b")
		p := b.Provider()
		begun := time.Now()
		b.Fail(mem.Get, mem.Fault{Delay: time.Hour, Times: 1})
		_, err := p.Get(t.Context(), provider.Ref{ID: "x"})
		is(t, "delayed", err, provider.NotFound)
		if d := time.Since(begun); d != time.Hour {
			t.Errorf("delayed by %s", d)
		}

		b.Fail(mem.Create, mem.Fault{Hang: true, Times: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = p.Create(ctx, spec(1))
		is(t, "hung", err, provider.Canceled)
		is(t, "hung", err, context.DeadlineExceeded)
		if n := len(b.Sandboxes()); n != 0 {
			t.Errorf("a canceled create left %d sandboxes", n)
		}

		hold := make(chan struct{})
		b.Fail(mem.Identity, mem.Fault{Hold: hold, Deaf: true, Times: 1})
		held := make(chan error, 1)
		go func() {
			_, err := p.Identity(ctx) // done already
			held <- err
		}()
		synctest.Wait()
		select {
		case err := <-held:
			t.Errorf("deaf, and yet it returned %v", err)
		default:
		}
		close(hold)
		if err := <-held; err != nil {
			t.Error(err)
		}
	})
}

func TestLies(t *testing.T) {
	b := mem.NewBackend("b")
	p := b.Provider()
	b.Fail(mem.Create, mem.Fault{Times: 1, Outcome: "odd", Lie: func(s *provider.Sandbox) { s.ID = "" }})
	if c := create(t, p, spec(1)); c.Outcome != "odd" || c.Sandbox.ID != "" {
		t.Errorf("created %+v", c)
	}
	create(t, p, spec(2))
	truth := b.Sandboxes()
	if len(truth) != 2 || truth[0].ID == "" {
		t.Errorf("the lie became true: %+v", truth)
	}
	b.Fail(mem.List, mem.Fault{Cut: 1, Times: 1})
	ids, _, err := list(t.Context(), p)
	is(t, "cut", err, provider.Unavailable)
	if len(ids) != 1 {
		t.Errorf("%d before the cut", len(ids))
	}
}

func TestSandboxSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.NewBackend("b")
		p := b.Provider()
		s := spec(1)
		s.Config = []byte(`{"create_delay":"3s","exit_after":"5s","exit_code":7,"port":9,"log":["hello"]}`)
		begun := time.Now()
		made := create(t, p, s)
		if d := time.Since(begun); d != 3*time.Second || made.Sandbox.Endpoint.Port != 9 {
			t.Errorf("after %s: %+v", d, made.Sandbox.Endpoint)
		}
		var text string
		err := p.Logs(t.Context(), provider.LogsRequest{ID: made.Sandbox.ID, Follow: true}, func(c provider.LogChunk) error {
			text += string(c.Data)
			return nil
		})
		if err != nil || text != "hello\n" || time.Since(begun) != 8*time.Second {
			t.Errorf("log %q, %v, after %s", text, err, time.Since(begun))
		}
		got, err := p.Get(t.Context(), provider.Ref{ID: made.Sandbox.ID})
		if err != nil || got.State != provider.StateExited || got.Exit.Code != 7 {
			t.Errorf("%+v, %v", got, err)
		}

		s = spec(2)
		s.Config = []byte(`{"create_error":"exhausted"}`)
		_, err = p.Create(t.Context(), s)
		is(t, "create_error", err, provider.Exhausted)
		if n := len(b.Sandboxes()); n != 1 {
			t.Errorf("%d sandboxes", n)
		}
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.NewBackend("b")
		p := b.Provider()
		var kinds []provider.EventKind
		ready, over := false, make(chan error, 1)
		go func() {
			over <- p.Events(t.Context(), func() { ready = true }, func(e provider.Event) error {
				kinds = append(kinds, e.Kind)
				return nil
			})
		}()
		synctest.Wait()
		if !ready || b.Streams() != 1 {
			t.Errorf("ready: %v, %d streams", ready, b.Streams())
		}
		id := create(t, p, spec(1)).Sandbox.ID
		b.Exit(id, 0, false)
		b.Vanish(id)
		synctest.Wait()
		if len(kinds) != 3 || kinds[0] != provider.EventStarted || kinds[1] != provider.EventExited || kinds[2] != provider.EventRemoved {
			t.Errorf("%v", kinds)
		}
		b.BreakEvents()
		is(t, "broken", <-over, provider.Unavailable)
		if b.Streams() != 0 {
			t.Errorf("%d streams are left", b.Streams())
		}
	})
}

func TestPluginSettings(t *testing.T) {
	b := mem.NewBackend("b")
	p := mem.Plugin(b)
	req := provider.ValidateRequest{Config: []byte(`{"state_file":"/x"}`), Sandboxes: map[string][]byte{"t": []byte(`{"reject":"no"}`)}}
	d, err := p.Validate(t.Context(), req)
	if err != nil || len(d) != 2 || d[0].Path[0] != "state_file" || d[1].Template != "t" || d[1].Summary != "no" {
		t.Errorf("%+v, %v", d, err)
	}
	_, err = p.Configure(t.Context(), provider.ConfigureRequest{Config: req.Config})
	is(t, "a process's setting", err, provider.InvalidArgument)
	config := `{"identity":"other","port":7,"fault":[{"verb":"get","error":"exhausted","message":"words","times":1}]}`
	if _, err := p.Configure(t.Context(), provider.ConfigureRequest{Config: []byte(config)}); err != nil {
		t.Fatal(err)
	}
	if id, err := p.Provider().Identity(t.Context()); err != nil || id != "other" {
		t.Errorf("%q, %v", id, err)
	}
	_, err = p.Provider().Get(t.Context(), provider.Ref{ID: "x"})
	is(t, "fault block", err, provider.Exhausted)
	if c := create(t, p.Provider(), spec(1)); c.Sandbox.Endpoint.Port != 7 {
		t.Errorf("%+v", c.Sandbox.Endpoint)
	}
}
