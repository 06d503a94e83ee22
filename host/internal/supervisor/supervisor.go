package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// Supervisor keeps one provider's plugin alive. It is made by [New]; [Supervisor.Run] is
// called once; every other method may be called concurrently, also before and after it.
type Supervisor struct {
	opts     Options
	engine   lifecycle.Supervised
	observer Observer
	log      *slog.Logger
	mostWait time.Duration // backoffMax

	mu       sync.Mutex
	status   lifecycle.BackendStatus
	gen      *generation   // configured; nil when there is none
	stopping bool          // no more calls
	changed  chan struct{} // closed and replaced at each change of the above

	generations int64       // ever begun
	restarts    int         // and counted
	shown       *generation // that Status and Report are about; nil before the first
	using       how         // what the next launch goes by
	changes     int         // of it
	linked      []byte      // the config of the last change, where the plugin is linked in
	next        *Successor  // waits to take the place of what there is
	over        bool        // Run has ended, or is about to: nothing takes over any more
	nudged      chan struct{}
	retiring    sync.WaitGroup // generations that a successor has replaced
	claimed     claim          // by the generation that was configured last
}

var (
	_ lifecycle.Backend  = (*Supervisor)(nil)
	_ provider.LogReader = (*Supervisor)(nil)
)

// New makes a supervisor. It starts nothing. The error names the option that is missing.
func New(opts Options) (*Supervisor, error) {
	switch {
	case opts.Name == "":
		return nil, errors.New("supervisor: Options.Name is empty")
	case opts.Launcher == nil:
		return nil, fmt.Errorf("supervisor: provider %q: Options.Launcher is nil", opts.Name)
	case opts.Settings == nil:
		return nil, fmt.Errorf("supervisor: provider %q: Options.Settings is nil", opts.Name)
	}
	s := &Supervisor{
		opts: opts, engine: opts.Engine, observer: opts.Observer, log: opts.Logger,
		status:  lifecycle.BackendStatus{State: lifecycle.Starting, Since: time.Now()},
		changed: make(chan struct{}), mostWait: backoffMax,
		using: how{opts.Launcher, opts.Settings}, nudged: make(chan struct{}, 1),
	}
	if s.engine == nil {
		s.engine = nobody{}
	}
	if s.observer == nil {
		s.observer = nobody{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("provider", opts.Name)
	return s, nil
}

// Run walks the machine until ctx is done. It then lets the calls in flight end, within
// bounds, ends the plugin, and returns nil. Sandboxes stay.
func (s *Supervisor) Run(ctx context.Context) error {
	failures := backoff{first: backoffFirst, most: s.mostWait}
	restart := ""
	for ctx.Err() == nil {
		if restart != "" {
			s.restarted(restart)
		}
		before := s.fingerprint()
		end := s.live(ctx, &failures)
		if ctx.Err() != nil {
			break
		}
		if s.usedAnew() != end.of { // what ended is not what comes
			restart = restartReloaded
			failures.reset()
			continue
		}
		restart = end.restart
		if end.refused {
			s.log.Error("the plugin refuses its configuration; it is tried again when its binary changes", "err", end.err)
			s.set(lifecycle.Misconfigured, end.err)
			s.waitForChange(ctx, before, end.of)
			if s.usedAnew() != end.of {
				restart = restartReloaded
			}
			failures.reset()
			continue
		}
		wait := failures.afterDeath
		if end.restart == restartStartFailed {
			wait = failures.next
		}
		pause := wait()
		s.log.Error("the plugin is not running", "err", end.err, "next_try_in", pause)
		if pause == 0 {
			s.set(lifecycle.Starting, end.err)
			continue
		}
		s.set(lifecycle.Backoff, end.err)
		s.rest(ctx, pause)
		if s.usedAnew() != end.of {
			restart = restartReloaded
			failures.reset()
		}
	}
	s.dropNext()
	s.retiring.Wait()
	s.stopped()
	return nil
}

// waitForChange returns when the launcher's binary is another than before, when there are
// other settings, or ctx is done.
func (s *Supervisor) waitForChange(ctx context.Context, binary string, changes int) {
	for s.rest(ctx, watchBinary) {
		if s.usedAnew() != changes || s.fingerprint() != binary {
			return
		}
	}
}

// fingerprint is of the binary that would be launched next.
func (s *Supervisor) fingerprint() string {
	now, _ := s.how()
	return fingerprintOf(now.launcher)
}

func fingerprintOf(l Launcher) string {
	if f, ok := l.(interface{ Fingerprint() string }); ok {
		return f.Fingerprint()
	}
	return ""
}

func (s *Supervisor) restarted(reason string) {
	s.mu.Lock()
	s.restarts++
	s.mu.Unlock()
	s.observer.PluginRestarted(s.opts.Name, reason)
}

// rest waits for d, or until there is news from Use, and reports whether ctx still goes on.
func (s *Supervisor) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.nudged:
		return true
	case <-ctx.Done():
		return false
	}
}

// sleep waits for d and reports whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
