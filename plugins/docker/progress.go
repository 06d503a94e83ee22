package docker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

const (
	// progressEvery is how often a pull tells how far it is, when that has changed.
	progressEvery = 500 * time.Millisecond

	// loggedEvery is how many of those times come to one line in the log.
	loggedEvery = 4

	// maxProgress is how much progress waits for a reader of the events: of so many images.
	maxProgress = 64

	// maxMessage bounds what is told of a failure, in bytes.
	maxMessage = 1024
)

// tell says how far the pull of an image is: to the readers of the events, and in the log.
func (p *Provider) tell(ctx context.Context, image, message string) {
	p.hint(image, message)
	p.log.InfoContext(ctx, "pulling an image", "image", image, "progress", message)
}

// hint is tell without the log.
func (p *Provider) hint(image, message string) {
	p.progress.send(provider.Event{Kind: provider.EventProgress, At: time.Now().UTC(), Image: image, Message: message})
}

// oneLine makes a text fit for a message: one line, bounded.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

// progress passes events of progress to those who read the events. Who is slow gets the
// newest of each image; nobody waits for a reader. The zero value is ready.
type progress struct {
	mu      sync.Mutex
	readers map[*progressReader]struct{}
}

// progressReader is one reader. Its queue is guarded by the mu of progress.
type progressReader struct {
	queue []provider.Event // at most one for each image
	more  chan struct{}    // holds a token while the queue may have something
}

func (s *progress) send(ev provider.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.readers {
		r.queue = slices.DeleteFunc(r.queue, func(old provider.Event) bool { return old.Image == ev.Image })
		if len(r.queue) >= maxProgress {
			r.queue = slices.Delete(r.queue, 0, 1)
		}
		r.queue = append(r.queue, ev)
		select {
		case r.more <- struct{}{}:
		default:
		}
	}
}

// open adds a reader, close takes it away.
func (s *progress) open() *progressReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers == nil {
		s.readers = make(map[*progressReader]struct{})
	}
	r := &progressReader{more: make(chan struct{}, 1)}
	s.readers[r] = struct{}{}
	return r
}

func (s *progress) close(r *progressReader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readers, r)
}

// take empties a reader's queue.
func (s *progress) take(r *progressReader) []provider.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := r.queue
	r.queue = nil
	return queue
}
