package host

import (
	"context"
	"sync/atomic"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/supervisor"
)

// slot is one provider block and its supervisor.
type slot struct {
	name       string
	cfg        atomic.Pointer[config.Provider] // the block of now
	supervisor *supervisor.Supervisor
	stop       context.CancelFunc // ends the supervisor's Run; nil until it runs
	done       chan struct{}      // closed when Run has returned; nil until it runs
}

func (s *slot) block() *config.Provider { return s.cfg.Load() }

// newSlot makes a supervisor for a provider block and attaches it to the engine.
func (h *Host) newSlot(cfg *config.Config, p *config.Provider) (*slot, error) {
	s := &slot{name: p.Name}
	s.cfg.Store(p)
	made, err := supervisor.New(supervisor.Options{
		Name:          p.Name,
		Launcher:      launcher(cfg, p, h.opts, h.dir.Plugins(), h.runDir),
		Settings:      p,
		Owner:         h.dir.Owner(),
		AcceptBackend: func() string { return s.block().AcceptBackend },
		Engine:        h.engine,
		Observer:      h.metrics,
		Logger:        h.log,
	})
	if err != nil {
		return nil, err
	}
	s.supervisor = made
	h.metrics.PluginUp(p.Name, false) // until it is: an alert wants to see the zero
	h.engine.Attach(p.Name, made)
	return s, nil
}

// start runs a slot's supervisor until its stop, or the end of the host. h.mu is held.
func (p *plugins) start(h *Host, s *slot) {
	ctx, stop := context.WithCancel(p.ctx)
	s.stop, s.done = stop, make(chan struct{})
	p.work.Go(func() {
		defer close(s.done)
		defer stop()
		if err := s.supervisor.Run(ctx); err != nil {
			h.log.Error("a plugin did not end", "provider", s.name, "err", err)
		}
	})
}
