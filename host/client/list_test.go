package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control"
)

// pages is a host whose sessions come in fixed pages.
type pages struct {
	control.Host
	pages  [][]host.Session
	filter host.Filter // the one that is expected
	asked  chan int
}

func (h pages) ListPage(_ context.Context, f host.Filter, p host.Page) ([]host.Session, *host.Cursor, error) {
	if f != h.filter {
		return nil, nil, fmt.Errorf("another filter: %+v", f)
	}
	n := 0
	if p.After.ID != "" {
		fmt.Sscanf(p.After.ID, "page-%d", &n)
	}
	h.asked <- n
	if n == len(h.pages)-1 {
		return h.pages[n], nil, nil
	}
	return h.pages[n], &host.Cursor{CreatedAt: time.Unix(0, 0), ID: fmt.Sprintf("page-%d", n+1)}, nil
}

func page(prefix string, n int) []host.Session {
	list := make([]host.Session, n)
	for i := range list {
		list[i] = host.Session{ID: fmt.Sprintf("%s-%d", prefix, i)}
	}
	return list
}

// List goes through all pages. A session that was first without a place is in it once.
func TestListIsWhole(t *testing.T) {
	early := host.Session{ID: "late", Status: host.StatusCreating}
	late := host.Session{ID: "late", Status: host.StatusRunning}
	f := host.Filter{ChatID: chat, AgentID: "a", Template: "t", Status: host.StatusRunning, All: true}
	h := pages{filter: f, asked: make(chan int, 10), pages: [][]host.Session{
		append([]host.Session{early}, page("a", 199)...), page("b", 200), append(page("c", 3), late),
	}}
	c := open(t, serveFake(t, h))
	list, err := c.List(within(t), f)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(h.pages[0][1:], h.pages[1], h.pages[2])
	if !slices.EqualFunc(list, want, func(a, b host.Session) bool { return a.ID == b.ID && a.Status == b.Status }) {
		t.Errorf("%d sessions, want %d", len(list), len(want))
	}
	if len(h.asked) != 3 {
		t.Errorf("%d pages were asked for, want 3", len(h.asked))
	}
}

// Who leaves All early asks for no more pages.
func TestAllStops(t *testing.T) {
	h := pages{asked: make(chan int, 10), pages: [][]host.Session{page("a", 200), page("b", 200)}}
	c := open(t, serveFake(t, h))
	for _, err := range c.All(within(t), client.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if len(h.asked) != 1 {
		t.Errorf("%d pages were asked for, want 1", len(h.asked))
	}
}

func TestListFails(t *testing.T) {
	w := newWorld(t)
	w.host()
	c := open(t, w.socket)
	list, err := c.List(within(t), client.Filter{Status: "sleeping"})
	if !errors.Is(err, client.CodeInvalidArgument) || list != nil {
		t.Errorf("list: %v, %v", list, err)
	}
	for s, err := range c.All(within(t), client.Filter{ChatID: "no"}) {
		if !errors.Is(err, client.CodeInvalidArgument) || s.ID != "" {
			t.Errorf("all: %+v, %v", s, err)
		}
	}
}
