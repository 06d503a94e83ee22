package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// generation is one life of the plugin.
type generation struct {
	s    *Supervisor
	num  int
	inst Instance
	prov provider.Provider
	caps []provider.Capability

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
	identity string // of its backend, once it was asked; calls wait for it
}

// ending is how a generation, or the try to start one, ended.
type ending struct {
	err     error
	restart string // the reason to count
	refused bool   // the configuration was refused
}

// errRefused marks a start that can't succeed with this configuration.
type errRefused struct{ error }

func (e errRefused) Unwrap() error { return e.error }

// live launches one generation and stays with it to its end, or until ctx is done.
func (s *Supervisor) live(ctx context.Context, failures *backoff) ending {
	s.set(lifecycle.Starting, nil)
	inst, err := s.opts.Launcher.Launch(ctx)
	if err != nil {
		return ending{err: err, restart: restartStartFailed}
	}
	g := s.newGeneration(ctx, inst)
	err = g.start()
	configured, refused := err == nil, errors.As(err, new(errRefused))
	if configured {
		s.publish(g)
		g.helpers.Go(g.streamEvents)
		g.observe(failures)
	}
	if err != nil && !refused {
		g.settle(ctx)
	}
	if cause := g.dead(); cause != nil && !refused { // what was refused stays so, if it died of it too
		err = cause
		if configured && ctx.Err() == nil {
			s.set(lifecycle.Starting, err) // at once, however long its end takes
		}
	}
	g.close(ctx)
	switch {
	case refused:
		return ending{err: err, restart: restartChanged, refused: true}
	case !configured:
		return ending{err: err, restart: restartStartFailed}
	case errors.As(err, new(errHung)):
		return ending{err: err, restart: restartHung}
	}
	return ending{err: err, restart: restartDied}
}

func (s *Supervisor) newGeneration(ctx context.Context, inst Instance) *generation {
	g := &generation{s: s, inst: inst, events: newEventStream()}
	g.alive, g.end = context.WithCancelCause(context.WithoutCancel(ctx))
	g.work, g.stopWork = context.WithCancel(ctx)
	context.AfterFunc(g.alive, g.stopWork)
	s.change(func(st *lifecycle.BackendStatus) {
		st.Generation++
		g.num = st.Generation
	})
	s.note(func(r *Report) {
		r.PID = 0
		if p, ok := inst.(interface{ PID() int }); ok {
			r.PID = p.PID()
		}
	})
	g.helpers.Go(g.watch)
	g.helpers.Go(g.pings)
	return g
}

// watch waits for the end of the instance.
func (g *generation) watch() {
	select {
	case <-g.inst.Done():
		g.end(fmt.Errorf("generation %d has died: %w", g.num, g.inst.Err()))
	case <-g.alive.Done():
	}
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
	g.s.note(func(r *Report) { r.Info, r.Schemas = info, schemas })
	req, err := g.s.opts.Settings.Bind(schemas)
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
	if err := g.s.opts.Settings.Explain(found); err != nil {
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
	g.prov, g.caps = plugin.Provider(), configured.Capabilities
	g.s.note(func(r *Report) { r.Capabilities = configured.Capabilities })
	return nil
}

// step makes one of the supervisor's own calls, within its deadline.
func (g *generation) step(op string, timeout time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(g.work, timeout)
	defer cancel()
	begun := time.Now()
	err := f(ctx)
	g.s.observer.RPC(g.s.opts.Name, op, codeOf(err), time.Since(begun))
	if err != nil && ctx.Err() != nil && g.work.Err() == nil {
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
		g.s.publish(nil)
		g.inst.Kill()
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := g.inst.Close(bound); err != nil {
		g.s.log.Error("the plugin's process is not gone", "generation", g.num, "err", err)
	}
	g.end(fmt.Errorf("provider %q was stopped", g.s.opts.Name))
	g.s.publish(nil)
	g.s.note(func(r *Report) { r.PID = 0 })
	g.helpers.Wait()
}

func codeOf(err error) string {
	if err == nil {
		return "ok"
	}
	return string(provider.ClassOf(err))
}
