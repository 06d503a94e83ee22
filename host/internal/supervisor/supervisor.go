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
	report   Report        // what Status does not tell
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
		restart = end.restart
		if end.refused {
			s.log.Error("the plugin refuses its configuration; it is tried again when its binary changes", "err", end.err)
			s.set(lifecycle.Misconfigured, end.err)
			s.waitForChange(ctx, before)
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
		sleep(ctx, pause)
	}
	s.stopped()
	return nil
}

// waitForChange returns when the launcher's binary is another than before, or ctx is done.
func (s *Supervisor) waitForChange(ctx context.Context, before string) {
	for sleep(ctx, watchBinary) {
		if s.fingerprint() != before {
			return
		}
	}
}

func (s *Supervisor) fingerprint() string {
	if f, ok := s.opts.Launcher.(interface{ Fingerprint() string }); ok {
		return f.Fingerprint()
	}
	return ""
}

func (s *Supervisor) restarted(reason string) {
	s.mu.Lock()
	s.report.Restarts++
	s.mu.Unlock()
	s.observer.PluginRestarted(s.opts.Name, reason)
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
