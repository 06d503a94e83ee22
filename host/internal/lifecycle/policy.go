package lifecycle

import "context"

// policy is what the operator may change while the engine runs. It holds for what is
// asked from then on; a session keeps the Spec it was made with.
type policy struct {
	limits    Limits
	templates map[string]Template
	adopt     map[string][]string // by provider: the owners whose sandboxes are taken over
}

func newPolicy(limits Limits, templates []Template, adopt map[string][]string) *policy {
	p := &policy{limits: limits, templates: make(map[string]Template, len(templates)), adopt: adopt}
	for _, t := range templates {
		p.templates[t.Name()] = t
	}
	return p
}

// limits are those of now.
func (e *Engine) limits() Limits { return e.policy.Load().limits }

// template finds one of now; nil when there is none.
func (e *Engine) template(name string) Template { return e.policy.Load().templates[name] }

// SetPolicy replaces limits, templates, and whose sandboxes are adopted. Deadlines that were promised stay, also where
// they are beyond the new limits.
func (e *Engine) SetPolicy(limits Limits, templates []Template, adopt map[string][]string) {
	e.policy.Store(newPolicy(limits, templates, adopt))
	for _, b := range *e.backends.Load() {
		b.creating.resize(limits.MaxCreating)
		b.reaping.resize(limits.MaxReaping)
		poke(b.kick) // its sweeper reads the interval anew
	}
}

// Attach gives the engine a provider's backend, before Run or while it runs. A name is
// attached once, unless it was detached since.
func (e *Engine) Attach(name string, b Backend) {
	added := newBackend(name, b, e.limits(), e.started)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changeBackends(func(all map[string]*backend) { all[name] = added })
	if e.loops != nil && !e.closed {
		e.look(added)
	}
}

// Detach forgets a backend. Its sessions, if there are any, are unknown from then on.
func (e *Engine) Detach(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gone := e.backend(name)
	if gone == nil {
		return
	}
	e.changeBackends(func(all map[string]*backend) { delete(all, name) })
	if gone.forget != nil {
		gone.forget()
	}
}

// changeBackends replaces the map, which is read without a lock. e.mu is held.
func (e *Engine) changeBackends(change func(map[string]*backend)) {
	all := map[string]*backend{}
	for name, b := range *e.backends.Load() {
		all[name] = b
	}
	change(all)
	e.backends.Store(&all)
}

// backend finds one by its name; nil when there is none.
func (e *Engine) backend(name string) *backend { return (*e.backends.Load())[name] }

// look starts what looks after a backend, until it is detached or the engine stops. e.mu
// is held.
func (e *Engine) look(b *backend) {
	ctx, forget := context.WithCancel(e.loops)
	b.forget = forget
	e.looking.Go(func() { e.follow(ctx, b) })
	e.looking.Go(func() { e.sweeper(ctx, b) })
}
