package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control"
)

// watcher pulls events, and keeps what a consumer should: it drops all at a resync.
type watcher struct {
	t     *testing.T
	next  func() (client.Event, bool)
	known map[string]client.Session
}

func watch(t *testing.T, c *client.Client) *watcher {
	t.Helper()
	next, stop := iter.Pull(c.Watch(within(t)))
	t.Cleanup(stop)
	return &watcher{t: t, next: next, known: map[string]client.Session{}}
}

// until reads events up to one that is wanted, and returns the types of those read.
func (w *watcher) until(wanted func(client.Event) bool) (types []client.EventType) {
	w.t.Helper()
	for {
		ev, ok := w.next()
		if !ok {
			w.t.Errorf("the watch ended after %v", types)
			return append(types, "ended")
		}
		types = append(types, ev.Type)
		switch ev.Type {
		case client.EventResync:
			clear(w.known)
		case client.EventSnapshot, client.EventChanged:
			w.known[ev.Session.ID] = ev.Session
		case client.EventPruned:
			delete(w.known, ev.Session.ID)
		}
		if wanted(ev) {
			return types
		}
	}
}

func synced(ev client.Event) bool { return ev.Type == client.EventSynced }

// told is a list of what WithOnDisconnect was told.
type told struct {
	mu   sync.Mutex
	errs []error
	some chan struct{} // a token for each of the first few
}

func newTold() *told { return &told{some: make(chan struct{}, 100)} }

func (l *told) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
	select {
	case l.some <- struct{}{}:
	default:
	}
}

func (l *told) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]error(nil), l.errs...)
}

// A host stops, and another takes over on the same socket: one resync, then what is so
// now, what happened between included.
func TestWatchAcrossRestart(t *testing.T) {
	w := newWorld(t)
	first, stop := w.host()
	gone, stays := create(t, first), create(t, first)
	lost := newTold()
	watcher := watch(t, open(t, w.socket, client.WithOnDisconnect(lost.add)))
	if types := fmt.Sprint(watcher.until(synced)); types != "[snapshot snapshot synced]" {
		t.Fatalf("at first: %s", types)
	}
	stop()
	w.cfg.Control.Socket += ".elsewhere" // where the watcher is not
	second, stop := w.host()
	if err := second.Delete(within(t), gone.ID); err != nil {
		t.Fatal(err)
	}
	made := create(t, second)
	stop()
	w.cfg.Control.Socket = w.socket
	third, _ := w.host()

	if types := fmt.Sprint(watcher.until(synced)); types != "[resync snapshot snapshot snapshot synced]" {
		t.Fatalf("after the restart: %s", types)
	}
	for id, want := range map[string]client.Status{gone.ID: client.StatusEnded, stays.ID: client.StatusRunning, made.ID: client.StatusRunning} {
		if got := watcher.known[id].Status; got != want {
			t.Errorf("session %s is %q, want %s", id, got, want)
		}
	}
	last := create(t, third)
	watcher.until(func(ev client.Event) bool {
		return ev.Type == client.EventChanged && ev.Session.ID == last.ID && ev.Session.Status == client.StatusRunning
	})
	for _, err := range lost.all() {
		var e *client.Error
		if !errors.As(err, &e) || e.Code != client.CodeUnavailable || e.Op != "watch" {
			t.Errorf("told of %v", err)
		}
	}
	if errs := lost.all(); len(errs) == 0 || errs[0].Error() != "watch: the host is stopping" {
		t.Errorf("told of %v", errs)
	}
}

// A host whose process dies, and what happened while nobody could watch.
func TestWatchSurvivesBrokenConnections(t *testing.T) {
	w := newWorld(t)
	h, _ := w.host()
	socket := filepath.Join(shortDir(t), "b.sock")
	kill := serve(t, socket, h.Handler())
	watcher := watch(t, open(t, socket))
	watcher.until(synced)
	for range 3 {
		kill()
		s := create(t, h)
		kill = serve(t, socket, h.Handler())
		types := watcher.until(synced)
		if types[0] != client.EventResync || watcher.known[s.ID].Status != client.StatusRunning {
			t.Fatalf("%v, and the session of between is %q", types, watcher.known[s.ID].Status)
		}
		for _, typ := range types[1:] {
			if typ == client.EventResync {
				t.Fatalf("resync twice: %v", types)
			}
		}
	}
}

// Without a host the watch waits, tells why, and has nothing to resync when one comes.
func TestWatchBeforeTheHost(t *testing.T) {
	w := newWorld(t)
	lost := newTold()
	c := open(t, w.socket, client.WithOnDisconnect(lost.add))
	types := make(chan []client.EventType, 1)
	watcher := watch(t, c)
	go func() { types <- watcher.until(synced) }()
	for range 2 {
		select {
		case <-lost.some:
		case <-time.After(patience):
			t.Fatal("nothing was told")
		}
	}
	if err := lost.all()[0]; !errors.Is(err, client.CodeUnavailable) || !strings.HasPrefix(err.Error(), "watch: no host answers at "+w.socket) {
		t.Errorf("told of %v", err)
	}
	w.host()
	if got := fmt.Sprint(<-types); got != "[synced]" {
		t.Errorf("got %s", got)
	}
}

// script is a host whose n-th watch tells the n-th list, and the last one goes on.
type script struct {
	control.Host
	mu      sync.Mutex
	watches [][]host.Event
}

func (h *script) Watch(ctx context.Context) iter.Seq[host.Event] {
	h.mu.Lock()
	defer h.mu.Unlock()
	events, last := h.watches[0], len(h.watches) == 1
	if !last {
		h.watches = h.watches[1:]
	}
	return func(yield func(host.Event) bool) {
		for _, ev := range events {
			if !yield(ev) {
				return
			}
		}
		if last {
			<-ctx.Done()
		}
	}
}

// However often a stream ends, in the middle of a snapshot or after the host's own
// resync, the consumer hears one resync before each new beginning, and none before
// anything was told.
func TestWatchTellsEachResyncOnce(t *testing.T) {
	var (
		snapshot = host.Event{Type: host.EventSnapshot, Seq: 7, Session: host.Session{ID: chat}}
		synced   = host.Event{Type: host.EventSynced, Seq: 7}
		progress = host.Event{Type: host.EventProgress, Seq: 8, Progress: &host.Progress{Provider: "p", Image: "i", Message: "m"}}
		resync   = host.Event{Type: host.EventResync}
	)
	h := &script{watches: [][]host.Event{
		{}, {resync}, // nothing was told
		{snapshot}, // broken off
		{snapshot, synced, resync},
		{}, {}, // broken off before anything
		{synced, progress, resync},
		{snapshot, synced},
	}}
	lost := newTold()
	watcher := watch(t, open(t, serveFake(t, h), client.WithOnDisconnect(lost.add)))
	rounds := 0
	var last client.Event
	types := watcher.until(func(ev client.Event) bool {
		if ev.Type == client.EventProgress {
			last = ev
		}
		if ev.Type == client.EventSynced {
			rounds++
		}
		return rounds == 3
	})
	want := "[snapshot resync snapshot synced resync synced progress resync snapshot synced]"
	if got := fmt.Sprint(types); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if last.Seq != 8 || last.Progress == nil || *last.Progress != *progress.Progress {
		t.Errorf("progress came as %+v", last)
	}
	if n := len(lost.all()); n != 4 { // each that ended without a resync of the host's
		t.Errorf("told %d times of a disconnect, want 4: %v", n, lost.all())
	}
}

// A consumer that does not read is cut off by the host, and is told; then it knows what is so.
func TestWatchSlow(t *testing.T) {
	w := newWorld(t)
	h, _ := w.host()
	c := open(t, w.socket)
	watcher := watch(t, c)
	watcher.until(synced)
	// Fat sessions fill the buffers between; 1024 events are what the host keeps for one.
	const sessions, extensions = 16, 100
	var work sync.WaitGroup
	want := make([]client.Session, sessions)
	errs := make([]error, sessions)
	for i := range want {
		work.Go(func() {
			fat := map[string]string{"fat": strings.Repeat("x", 15<<10)}
			want[i], errs[i] = h.Create(within(t), host.CreateRequest{Template: "default", ChatID: chat, Metadata: fat})
			for range extensions {
				if errs[i] == nil {
					want[i], errs[i] = h.Extend(within(t), want[i].ID, host.ExtendRequest{By: time.Second})
				}
			}
		})
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	watcher.until(func(ev client.Event) bool { return ev.Type == client.EventResync })
	types := watcher.until(synced)
	if len(types) != sessions+1 {
		t.Errorf("the new snapshot: %v", types)
	}
	for _, s := range want {
		if got := watcher.known[s.ID]; !got.ExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("session %s ends at %v, want %v", s.ID, got.ExpiresAt, s.ExpiresAt)
		}
	}
}

// However a watch ends, nothing stays behind.
func TestWatchLeavesNothing(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	w := newWorld(t)
	h, stop := w.host()
	create(t, h)
	c := client.New(w.socket)
	for range c.Watch(within(t)) { // the consumer leaves in the snapshot
		break
	}
	for range c.Watch(within(t)) { // and its loop panics
		func() {
			defer func() { recover() }()
			for range c.Watch(within(t)) {
				panic("a consumer's fault")
			}
		}()
		break
	}
	ctx, cancel := context.WithCancel(within(t))
	n := 0
	for ev := range c.Watch(ctx) {
		if n++; ev.Type == client.EventSynced {
			cancel() // it ends with ctx
		}
	}
	if n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	away := client.New(filepath.Join(shortDir(t), "nobody.sock"))
	for range away.Watch(ctx) { // between two tries
		t.Error("an event from nobody")
	}
	away.Close()
	for ev := range c.Watch(within(t)) {
		if ev.Type == client.EventSynced {
			c.Close() // it ends with the client
		}
	}
	stop()
	goleak.VerifyNone(t, ignore)
}

// Once ctx is done nothing is yielded, not even what has come already.
func TestWatchEndsWithItsContext(t *testing.T) {
	events := make([]host.Event, 1000)
	for i := range events {
		events[i] = host.Event{Type: host.EventSnapshot, Session: host.Session{ID: chat}}
	}
	c := open(t, serveFake(t, &script{watches: [][]host.Event{events}}))
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	n := 0
	for range c.Watch(ctx) {
		if n++; n == 500 {
			cancel()
		}
	}
	if n != 500 {
		t.Errorf("%d events, want 500", n)
	}
}

// Calls and watches share a connection.
func TestOneConnection(t *testing.T) {
	var mu sync.Mutex
	conns := map[string]bool{}
	s := control.New(&script{watches: [][]host.Event{{{Type: host.EventSynced}}}}, control.Options{})
	defer s.Close()
	socket := filepath.Join(shortDir(t), "b.sock")
	serve(t, socket, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		conns[fmt.Sprintf("%p", r.Context().Value(http.LocalAddrContextKey))] = true
		mu.Unlock()
		s.Handler().ServeHTTP(rw, r)
	}))
	c := open(t, socket)
	var work sync.WaitGroup
	for range 8 {
		watcher := watch(t, c)
		work.Go(func() { watcher.until(synced) })
	}
	work.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(conns) != 1 {
		t.Errorf("%d connections", len(conns))
	}
}
