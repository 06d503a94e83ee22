//go:build linux

package process

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// maxQueue is how many events a slow reader may be behind, before its stream breaks.
const maxQueue = 4096

// lookAgain is how often a stream of events makes sure that the state directory is there.
const lookAgain = time.Second

// watched is every running sandbox that this provider knows of, each with a goroutine that
// waits for the end of its shim, and those who want to hear of it.
type watched struct {
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	known   map[string]bool // by id: those that are watched
	streams map[*stream]struct{}
}

// stream is one caller of Events.
type stream struct {
	queue []provider.Event
	over  bool
	more  chan struct{} // holds a token when there is something to take
}

func (w *watched) init() {
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.known = map[string]bool{}
	w.streams = map[*stream]struct{}{}
}

func (w *watched) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.all.Wait()
}

// add watches the shim of a sandbox, and takes it over.
func (w *watched) add(id, session string, s *shimProcess) {
	w.mu.Lock()
	if w.closed || w.known[id] {
		w.mu.Unlock()
		s.close()
		return
	}
	w.known[id] = true
	w.all.Add(1)
	w.mu.Unlock()
	go func() {
		defer w.all.Done()
		defer s.close()
		if s.await(w.ctx) != nil {
			return // closing
		}
		s.reap()
		w.mu.Lock()
		delete(w.known, id)
		w.mu.Unlock()
		w.tell(provider.Event{SandboxID: id, SessionID: session, Kind: provider.EventExited, At: time.Now().UTC()})
	}()
}

// tell puts an event before every stream. A reader that is too far behind loses its
// stream: the host then sweeps.
func (w *watched) tell(ev provider.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.streams {
		if len(s.queue) == maxQueue {
			s.over = true
		} else {
			s.queue = append(s.queue, ev)
		}
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

// watchAll watches the sandboxes that run already.
func (p *Provider) watchAll() {
	list, err := os.ReadDir(p.dir.sandboxes)
	if err != nil {
		return
	}
	for _, e := range list {
		if sandboxName.MatchString(e.Name()) {
			p.watchOne(filepath.Join(p.dir.sandboxes, e.Name()))
		}
	}
}

func (p *Provider) watchOne(dir string) {
	b, err := look(dir)
	if err != nil || !b.held || b.run.Shim == 0 {
		return
	}
	s, err := b.shim()
	if err != nil || s == nil {
		return
	}
	p.watched.add(b.rec.ID, b.rec.SessionID, s)
}

// Events tells what happens to sandboxes from now on; see [provider.EventSource]. What a
// plugin beside this one makes or removes is not told.
func (p *Provider) Events(ctx context.Context, ready func(), yield func(provider.Event) error) error {
	w := &p.watched
	s := &stream{more: make(chan struct{}, 1)}
	w.mu.Lock()
	w.streams[s] = struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.streams, s)
		w.mu.Unlock()
	}()
	identity, err := p.dir.identity()
	if err != nil {
		return failure(ctx, "events", "", "", "", err)
	}
	p.watchAll()
	ready()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		select {
		case <-look.C: // nothing tells of what becomes of a directory that is gone
			if now, err := p.dir.identity(); err != nil || now != identity {
				return &provider.Error{Class: provider.Unavailable, Op: "events", Message: "the state directory is gone, or is another", Err: err}
			}
			continue
		case <-ctx.Done():
			return failure(ctx, "events", "", "", "", ctx.Err())
		case <-w.ctx.Done():
			return &provider.Error{Class: provider.Unavailable, Op: "events", Message: "the provider was closed"}
		case <-s.more:
		}
		w.mu.Lock()
		queue, over := s.queue, s.over
		s.queue = nil
		w.mu.Unlock()
		for _, ev := range queue {
			if err := yield(ev); err != nil {
				return err
			}
		}
		if over {
			return &provider.Error{Class: provider.Unavailable, Op: "events", Message: "the reader was too slow, and events were lost"}
		}
	}
}
