//go:build chaos && linux

package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// churners is how many clients of a lane call at a time.
const churners = 3

// churner is one client. It drives the sessions that it has asked for, and nobody else's.
type churner struct {
	*lane
	ctx  context.Context
	rng  *rand.Rand // its own: how calls come between each other is not drawn
	mine []*promise
	chat string // one that it asks Ensure for, like one more churner
}

// churn calls until ctx is done.
func (l *lane) churn(ctx context.Context, n int, chat string) {
	c := &churner{lane: l, ctx: ctx, rng: rand.New(rand.NewPCG(uint64(n), uint64(time.Now().UnixNano()))), chat: chat}
	for c.lane.ctx.Err() == nil && ctx.Err() == nil {
		c.forget()
		c.act()
		pause(ctx, between(c.rng, 20*time.Millisecond, 250*time.Millisecond))
	}
}

// forget lets go of sessions that have ended.
func (c *churner) forget() {
	c.model.mu.Lock()
	defer c.model.mu.Unlock()
	kept := c.mine[:0]
	for _, p := range c.mine {
		if p.end == nil && (p.late.IsZero() || time.Since(p.late) < chaosRetention) {
			kept = append(kept, p)
		}
	}
	c.mine = kept
}

// act does one thing.
func (c *churner) act() {
	if len(c.mine) == 0 || len(c.mine) < 4 && c.rng.IntN(4) == 0 {
		switch c.rng.IntN(8) {
		case 0, 1:
			c.ensure()
		case 2:
			c.race()
		case 3:
			c.fail()
		default:
			c.create(c.new("create"), []string{"default", "default", "stubborn"}[c.rng.IntN(3)])
		}
		return
	}
	p := c.mine[c.rng.IntN(len(c.mine))]
	switch n := c.rng.IntN(20); {
	case n < 9:
		c.get(p)
	case n < 14:
		c.extend(p)
	case n < 16:
		c.stop(p)
	case n < 18:
		c.delete(p)
	case n < 19:
		c.ensure()
	default:
		c.list()
	}
}

// new is a session to be asked for.
func (c *churner) new(how string) *promise {
	return c.model.want(uuid.NewString(), uuid.NewString(), how, between(c.rng, 5*time.Second, 20*time.Second))
}

func (p *promise) request(template string) host.CreateRequest {
	return host.CreateRequest{SessionID: p.id, ChatID: p.chat, AgentID: "churn", Template: template, TTL: p.ttl}
}

func (c *churner) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.lane.ctx, chaosCall)
}

// create asks until there is an answer, three times at most.
func (c *churner) create(p *promise, template string) {
	c.mine = append(c.mine, p)
	for range 3 {
		ctx, cancel := c.call()
		asked := c.model.try(p)
		v, err := c.client.Create(ctx, p.request(template))
		cancel()
		if err == nil {
			c.model.runs(v, "create", asked)
			break
		}
		if !errors.Is(err, host.CodeUnavailable) || !c.wait() || c.model.isDoomed(p) {
			break // one that has failed, and was deleted, may be tried again: nobody does
		}
	}
	c.model.unheard(p)
}

// wait is between two tries of a call.
func (c *churner) wait() bool {
	return pause(c.ctx, between(c.rng, 50*time.Millisecond, 800*time.Millisecond))
}

// endsAtOnce is the harm of a command that can't be executed: on a busy machine it may be seen
// to run before.
const endsAtOnce = "its command ends at once"

// fail asks for what can't run. Nothing may be left of it.
func (c *churner) fail() {
	template := []string{"broken", "missing"}[c.rng.IntN(2)]
	p := c.new(template)
	ctx, cancel := c.call()
	defer cancel()
	asked := c.model.try(p)
	c.model.harm(endsAtOnce, p)
	if v, err := c.client.Create(ctx, p.request(template)); err == nil {
		c.model.runs(v, "create", asked)
	}
	c.model.unheard(p)
}

// ensure asks for the session of a chat that others ask for too.
func (c *churner) ensure() {
	p := c.model.want(uuid.NewString(), c.chat, "ensure", between(c.rng, 5*time.Second, 10*time.Second))
	c.mine = append(c.mine, p)
	ctx, cancel := c.call()
	defer cancel()
	asked := c.model.try(p)
	c.model.ensuring(p)
	v, err := c.client.Ensure(ctx, p.request("default"))
	if err == nil {
		c.model.ensured(v, asked)
	}
	if err == nil && v.ID != p.id { // there is another one, or was
		c.mine = c.mine[:len(c.mine)-1]
	}
	c.model.unheard(p)
}

// race deletes what is just being created: the delete wins.
func (c *churner) race() {
	p := c.new("race")
	var work sync.WaitGroup
	work.Go(func() { c.create(p, "default") })
	pause(c.ctx, between(c.rng, 0, 700*time.Millisecond))
	c.delete(p)
	work.Wait()
}

func (c *churner) get(p *promise) {
	asked := time.Now()
	ctx, cancel := c.call()
	defer cancel()
	v, err := c.client.Get(ctx, p.id)
	switch {
	case err == nil:
		c.model.seen(v, asked)
	case errors.Is(err, host.CodeNotFound):
		c.model.missing(p, asked)
	}
}

func (c *churner) list() {
	asked := time.Now()
	ctx, cancel := c.call()
	defer cancel()
	list, err := c.client.List(ctx, host.Filter{All: true})
	if err != nil {
		return
	}
	for _, v := range list {
		c.model.seen(v, asked)
	}
}

func (c *churner) extend(p *promise) {
	c.model.mu.Lock()
	seen, most, runs := p.expires, p.most, !p.acked.IsZero()
	c.model.mu.Unlock()
	if !runs {
		return
	}
	by := between(c.rng, time.Second, 6*time.Second)
	req := host.ExtendRequest{By: by}
	if c.rng.IntN(2) == 0 && seen.Equal(most) {
		req.Seen = seen
	}
	ctx, cancel := c.call()
	defer cancel()
	// From now on it may last longer, also when the answer is not heard.
	c.model.maybe(p, most.Add(by))
	v, err := c.client.Extend(ctx, p.id, req)
	if err == nil {
		c.model.extended(p, seen, v)
	}
}

func (c *churner) stop(p *promise) {
	c.model.mark(&p.halting)
	ctx, cancel := c.call()
	defer cancel()
	v, err := c.client.Stop(ctx, p.id)
	if err == nil && v.Status == host.StatusStopped {
		c.model.mark(&p.stopped)
	}
}

func (c *churner) delete(p *promise) {
	c.model.mark(&p.doomed)
	ctx, cancel := c.call()
	defer cancel()
	if c.client.Delete(ctx, p.id) == nil {
		c.model.mark(&p.deleted)
	}
}

// mark notes when something was first so.
func (m *model) mark(at *time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.IsZero() {
		*at = time.Now()
	}
}

func (m *model) isDoomed(p *promise) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !p.doomed.IsZero()
}

// extended notes an acknowledged extension of a deadline that was known before.
func (m *model) extended(p *promise, before time.Time, v host.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v.ExpiresAt.Before(before) {
		m.l.broke("an extension of %s, which expires at %v, answers with %v", p.id, before, v.ExpiresAt)
	}
	m.deadline(p, v.ExpiresAt)
}

// ensuring notes that every session of a chat may be given more time.
func (m *model) ensuring(asked *promise) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.of {
		if p.chat == asked.chat && p.ended.IsZero() && !p.acked.IsZero() {
			if until := time.Now().Add(m.step + chaosCall + asked.ttl); until.After(p.most) {
				p.most = until
				p.bound()
			}
		}
	}
}

// ensured judges which session a chat was given.
func (m *model) ensured(v host.Session, asked time.Time) {
	m.mu.Lock()
	for _, p := range m.of {
		if p.id != v.ID && p.chat == v.ChatID && !p.acked.IsZero() && p.acked.Before(asked) && m.live(p, time.Now()) {
			m.l.broke("ensure answers chat %s with session %s, and it has %s", v.ChatID, v.ID, p)
		}
	}
	m.mu.Unlock()
	m.runs(v, "ensure", asked)
}
