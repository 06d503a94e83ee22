package wire

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestListStops(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	for n := range 1000 {
		create(t, c.Provider(), n)
	}
	enough := errors.New("enough")
	n := 0
	_, err := c.Provider().List(t.Context(), func(provider.Sandbox) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if err != enough || n != 3 {
		t.Errorf("%v after %d", err, n)
	}
	b.Fail(mem.List, mem.Fault{Cut: 10})
	if all, _, err := list(t.Context(), c.Provider()); !errors.Is(err, provider.Unavailable) || len(all) != 10 {
		t.Errorf("%v after %d", err, len(all))
	}
}

func TestEvents(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	events, readied := make(chan provider.Event, 10), make(chan struct{})
	over := make(chan error, 1)
	run := func(ctx context.Context) {
		readied = make(chan struct{})
		ready := readied
		go func() {
			over <- c.Provider().(provider.EventSource).Events(ctx, func() { close(ready) }, func(e provider.Event) error { events <- e; return nil })
		}()
		<-ready
	}
	ctx, cancel := context.WithCancel(t.Context())
	run(ctx)
	made := create(t, c.Provider(), 1)
	if e := <-events; e.Kind != provider.EventStarted || e.SandboxID != made.Sandbox.ID || e.SessionID != "session-1" || e.At.IsZero() {
		t.Errorf("%+v", e)
	}
	b.Exit(made.Sandbox.ID, 1, false)
	if e := <-events; e.Kind != provider.EventExited {
		t.Errorf("%+v", e)
	}
	cancel()
	if err := <-over; !errors.Is(err, provider.Canceled) {
		t.Errorf("cancel: %v", err)
	}
	run(t.Context())
	b.BreakEvents()
	if err := <-over; !errors.Is(err, provider.Unavailable) {
		t.Errorf("break: %v", err)
	}
	run(t.Context())
	if err := c.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-over; !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "draining") {
		t.Errorf("drain: %v", err)
	}
}

func TestLogs(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	made := create(t, c.Provider(), 1)
	big := strings.Repeat("x", 150<<10) + "\n"
	b.Print(made.Sandbox.ID, "one\ntwo\n", false)
	b.Print(made.Sandbox.ID, big, true)
	read := func(req provider.LogsRequest) (all string, largest int, err error) {
		req.ID = made.Sandbox.ID
		err = c.Provider().(provider.LogReader).Logs(t.Context(), req, func(c provider.LogChunk) error {
			all += string(c.Data)
			largest = max(largest, len(c.Data))
			return nil
		})
		return all, largest, err
	}
	if all, largest, err := read(provider.LogsRequest{}); err != nil || all != "one\ntwo\n"+big || largest > maxChunk {
		t.Errorf("%d bytes, at most %d: %v", len(all), largest, err)
	}
	if all, _, err := read(provider.LogsRequest{Tail: 2}); err != nil || all != "two\n"+big {
		t.Errorf("tail: %d bytes: %v", len(all), err)
	}
	b.Exit(made.Sandbox.ID, 0, false)
	if all, _, err := read(provider.LogsRequest{Follow: true}); err != nil || all != "one\ntwo\n"+big {
		t.Errorf("follow: %d bytes: %v", len(all), err)
	}
	made.Sandbox.ID = "none"
	if _, _, err := read(provider.LogsRequest{}); !errors.Is(err, provider.NotFound) {
		t.Error(err)
	}
}
