package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// generation is one life of the plugin.
type generation struct {
	s        *Supervisor
	num      atomic.Int64 // counts lives; a successor gets its last one when it takes over
	inst     Instance
	settings Settings
	binary   string // its fingerprint, just before it was launched
	prov     provider.Provider
	caps     []provider.Capability

	// alive is done when the life has ended, with the reason as its cause. Every call on
	// the generation ends with it.
	alive context.Context
	end   context.CancelCauseFunc

	// work is done when the life has ended or the supervisor is to stop. The supervisor's
	// own calls end with it.
	work     context.Context
	stopWork context.CancelFunc

	helpers sync.WaitGroup
	events  eventStream

	// Guarded by s.mu.
	report   Report        // what Status does not tell
	config   []byte        // that it was configured with
	identity string        // of its backend, once it was asked; calls wait for it
	of       int           // the change of how that it was launched for
	flight   int           // calls under way that its successor waits for
	idle     chan struct{} // closed when flight is 0; nil before it is retired
}

// ending is how a generation, or the try to start one, ended.
type ending struct {
	err     error
	restart string // the reason to count
	refused bool   // the configuration was refused
	of      int    // the change of how that it goes by
}

// errRefused marks a start that can't succeed with this configuration.
type errRefused struct{ error }

func (e errRefused) Unwrap() error { return e.error }

// errOutdated is the end of a generation whose settings are no longer those of now.
var errOutdated = errors.New("other settings were taken over")

// live launches one generation and stays with it, and with the successors that take its
// place, to the end of the last, or until ctx is done.
func (s *Supervisor) live(ctx context.Context, failures *backoff) ending {
	w := s.takeNext(ctx)
	if w == nil {
		s.set(lifecycle.Starting, nil)
		how, of := s.how()
		binary := fingerprintOf(how.launcher)
		inst, err := how.launcher.Launch(ctx)
		if err != nil {
			return ending{err: err, restart: restartStartFailed, of: of}
		}
		g := s.newGeneration(ctx, inst, how.settings, binary)
		if !s.show(g, of) {
			g.end(errOutdated)
			return g.died(ctx)
		}
		if err = g.start(); err == nil {
			err = s.fits(g)
		}
		if err != nil {
			return g.failed(ctx, err)
		}
		s.publish(g)
		g.helpers.Go(g.streamEvents)
		w = newWatchman(g)
	}
	for {
		w.observe(failures)
		next := s.takeNext(ctx)
		if next == nil {
			return w.died(ctx)
		}
		s.restarted(restartReloaded)
		failures.reset() // what failed is not what runs
		old := w.generation
		s.retiring.Go(func() { old.retire(ctx) })
		w = next
	}
}

// failed ends a generation that did not come to run.
func (g *generation) failed(ctx context.Context, err error) ending {
	refused := errors.As(err, new(errRefused))
	if !refused {
		g.settle(ctx)
		if cause := g.dead(); cause != nil {
			err = cause
		}
	}
	g.close(ctx)
	if refused { // what was refused stays so, if it died of it too
		return ending{err: err, restart: restartChanged, refused: true, of: g.goesBy()}
	}
	return ending{err: err, restart: restartStartFailed, of: g.goesBy()}
}

// died ends a generation that ran.
func (g *generation) died(ctx context.Context) ending {
	err := g.dead()
	if err != nil && ctx.Err() == nil {
		g.s.set(lifecycle.Starting, err) // at once, however long its end takes
	}
	g.close(ctx)
	if errors.As(err, new(errHung)) {
		return ending{err: err, restart: restartHung, of: g.goesBy()}
	}
	return ending{err: err, restart: restartDied, of: g.goesBy()}
}

// goesBy is the change of how that the generation was launched for.
func (g *generation) goesBy() int {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	return g.of
}

func (s *Supervisor) newGeneration(ctx context.Context, inst Instance, settings Settings, binary string) *generation {
	g := &generation{s: s, inst: inst, settings: settings, binary: binary, events: newEventStream()}
	g.alive, g.end = context.WithCancelCause(context.WithoutCancel(ctx))
	g.work, g.stopWork = context.WithCancel(ctx)
	context.AfterFunc(g.alive, g.stopWork)
	s.mu.Lock()
	s.generations++
	g.num.Store(s.generations)
	s.mu.Unlock()
	if p, ok := inst.(interface{ PID() int }); ok {
		g.report.PID = p.PID()
	}
	g.helpers.Go(g.watch)
	g.helpers.Go(g.pings)
	return g
}

// watch waits for the end of the instance.
func (g *generation) watch() {
	select {
	case <-g.inst.Done():
		g.end(g.death())
	case <-g.alive.Done():
	}
}

// death is what the end of the instance means.
func (g *generation) death() error {
	g.s.mu.Lock()
	retired := g.idle != nil
	g.s.mu.Unlock()
	if retired {
		return fmt.Errorf("%w: %w", g.replaced(), g.inst.Err())
	}
	return fmt.Errorf("generation %d has died: %w", g.num.Load(), g.inst.Err())
}

// dead is why the generation has ended; nil while it lives.
func (g *generation) dead() error { return context.Cause(g.alive) }

// start takes the plugin from its launch to its configuration. Each call has its own
// deadline.
func (g *generation) start() error {
	plugin := g.inst.Plugin()
	var info provider.Info
	var schemas provider.Schemas
	err := g.step("info", infoTimeout, func(ctx context.Context) (err error) {
		info, err = plugin.Info(ctx)
		return err
	})
	if err != nil {
		return err
	}
	err = g.step("schemas", infoTimeout, func(ctx context.Context) (err error) {
		schemas, err = plugin.Schemas(ctx)
		return err
	})
	if err != nil {
		return err
	}
	g.note(func(r *Report) { r.Info, r.Schemas = info, schemas })
	req, err := g.settings.Bind(schemas)
	if err != nil {
		return errRefused{err}
	}
	var found provider.Diagnostics
	err = g.step("validate", validateTimeout, func(ctx context.Context) (err error) {
		found, err = plugin.Validate(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	if err := g.settings.Explain(found); err != nil {
		return errRefused{err}
	}
	if found.HasErrors() { // whatever Explain says
		return errRefused{fmt.Errorf("the plugin refuses its configuration: %d findings", len(found))}
	}
	var configured provider.Configured
	err = g.step("configure", configureTimeout, func(ctx context.Context) (err error) {
		configured, err = plugin.Configure(ctx, provider.ConfigureRequest{Config: req.Config, Owner: g.s.opts.Owner})
		return err
	})
	switch provider.ClassOf(err) {
	case "":
	case provider.InvalidArgument, provider.Unsupported:
		return errRefused{err}
	default:
		return err
	}
	g.prov, g.caps = plugin.Provider(), g.s.believed(claim{binary: g.binary, config: req.Config, said: configured.Capabilities})
	g.note(func(r *Report) { r.Capabilities = g.caps })
	g.s.mu.Lock()
	g.config = req.Config
	g.s.mu.Unlock()
	return nil
}

// step makes one of the supervisor's own calls, within its deadline.
func (g *generation) step(op string, timeout time.Duration, f func(context.Context) error) error {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(g.work, timeout)
	defer cancel()
	err := f(ctx)
	took := time.Since(begun)
	g.s.called(op, err, took)
	// The plugin has a timer for the same deadline, which may fire a moment before this one.
	if err != nil && (ctx.Err() != nil || took >= timeout) && g.work.Err() == nil {
		return &provider.Error{Class: provider.Unavailable, Op: op,
			Message: fmt.Sprintf("the plugin gave no answer within %s", timeout), Err: err}
	}
	return err
}

// close ends the generation: gracefully when the supervisor stops, by force when it
// failed. It returns when nothing of it is left.
func (g *generation) close(ctx context.Context) {
	g.stopWork()
	if ctx.Err() != nil && g.dead() == nil {
		g.s.refuseCalls() // and let those in flight end
	} else {
		g.end(errors.New("the generation has ended"))
		g.s.withdraw(g)
		g.inst.Kill()
	}
	g.finish(ctx, fmt.Errorf("provider %q was stopped", g.s.opts.Name))
}

// retire ends a generation whose place a successor has taken: the calls in flight on it may
// end first, within closeTimeout. Its plugin is drained after that alone, for a call that
// has just left would be refused. One that is not done by then is ended by force, before
// its caller hears of it: told to give a create up, a plugin would undo what the successor
// is then asked for, and has found.
func (g *generation) retire(ctx context.Context) {
	g.stopWork()
	idle := make(chan struct{})
	g.s.mu.Lock()
	if g.idle = idle; g.flight == 0 {
		close(idle)
	}
	g.s.mu.Unlock()
	cause := g.replaced()
	t := time.NewTimer(closeTimeout)
	defer t.Stop()
	select {
	case <-idle:
	case <-g.inst.Done():
	case <-t.C:
		g.inst.Kill()
	}
	g.finish(ctx, cause)
}

func (g *generation) replaced() error {
	return fmt.Errorf("generation %d of the plugin was replaced by another", g.num.Load())
}

func (g *generation) finish(ctx context.Context, cause error) {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := g.inst.Close(bound); err != nil {
		g.s.log.Error("the plugin's process is not gone", "generation", g.num.Load(), "err", err)
	}
	g.end(cause)
	g.s.withdraw(g)
	g.note(func(r *Report) { r.PID = 0 })
	g.helpers.Wait()
}

// note keeps something for Report.
func (g *generation) note(f func(*Report)) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	f(&g.report)
}

func codeOf(err error) string {
	if err == nil {
		return "ok"
	}
	return string(provider.ClassOf(err))
}
