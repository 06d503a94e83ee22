package lifecycle

import (
	"context"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// session is the engine's object behind a Session.
type session struct {
	id string

	// token is held by whoever acts on the sandbox; write by whoever changes the record.
	// Where both are needed, token is taken first.
	token chan struct{}
	write chan struct{}

	mu        sync.Mutex
	rec       lease.Record
	told      uint64    // the number of the event that told it
	deadline  time.Time // rec.ExpiresAt on the engine's clock; zero until it is fixed
	forget    time.Time // when its terminal record goes, on the engine's clock; zero until it has ended
	create    *creation // the create in flight, or the one that a restart interrupted
	interrupt context.CancelCauseFunc
	exit      *provider.Exit // seen at a stop, kept for the end
	suspect   bool           // a list or an event says that it is not as its record says
	absent    int            // complete lists in a row without it, while recovering
	confirmed time.Time      // when the provider was last asked for Ensure, and said that it runs
	written   time.Time      // when the last write of the record was acknowledged
	unsaved   bool           // the visible record is newer than the one on disk
	tries     int            // failed tries to finish what is intended
	failure   error          // of the last of them
	lagged    bool           // its expiry lag was told
	attending bool           // a goroutine gives it what it needs
	again     bool           // and is to look once more
	queued    chan struct{}  // closed at the deadline; of a recovery that waits for a slot, else nil

	hint    chan struct{} // an event came while it was being created
	planned chan struct{} // closed when the deadline is fixed, or never will be
	ended   chan struct{} // closed when it has ended
}

func newSession(rec lease.Record) *session {
	return &session{
		id: rec.SessionID, rec: rec,
		token: make(chan struct{}, 1), write: make(chan struct{}, 1),
		hint: make(chan struct{}, 1), planned: make(chan struct{}), ended: make(chan struct{}),
	}
}

func (s *session) record() lease.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec
}

// due reports whether the deadline has passed at a point of the engine's clock.
func (s *session) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dueAt(now)
}

func (s *session) dueAt(now time.Time) bool { return !s.deadline.IsZero() && !now.Before(s.deadline) }

// inFlight reports whether a goroutine is creating it. s.mu is held.
func (s *session) inFlight() bool { return s.create != nil && !s.create.recovered }

// take gets a lock of the session's, or fails with ctx's cause.
func take(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	default:
	}
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func release(lock chan struct{}) { <-lock }

// interruptible makes a context that a delete can end. The caller holds the token and
// calls the returned function when it is through.
func (s *session) interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	s.mu.Lock()
	s.interrupt = cancel
	doomed := s.rec.State == lease.Deleting
	s.mu.Unlock()
	if doomed {
		cancel(errDeleted)
	}
	return ctx, func() {
		s.mu.Lock()
		s.interrupt = nil
		s.mu.Unlock()
		cancel(nil)
	}
}

func (s *session) interruptNow(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupt != nil {
		s.interrupt(cause)
	}
}

// retryAnew forgets the tries that failed.
func (s *session) retryAnew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries = 0
}

// closePlanned lets those go on who wait for the deadline. The token is held.
func (s *session) closePlanned() {
	select {
	case <-s.planned:
	default:
		close(s.planned)
	}
}
