//go:build chaos && linux

package e2e

import (
	"context"
	"time"

	"github.com/berth-dev/berth/host"
)

// audit looks at what is there, past the host, until ctx is done.
func (l *lane) audit(ctx context.Context) {
	for pause(ctx, 300*time.Millisecond) {
		l.look(ctx)
	}
}

// look compares one list with what is promised. It reports false when there was none.
func (l *lane) look(ctx context.Context) bool {
	asked := time.Now()
	l.model.mu.Lock()
	must := l.model.mustLive(asked)
	l.model.mu.Unlock()
	list, ok := l.on.listed(ctx, l.s.owner)
	if !ok {
		return false
	}
	l.model.judge(must, list, asked)
	return true
}

// judge holds the sandboxes of a list that was asked for at asked against the promises.
// must are the sessions that had to run then.
func (m *model) judge(must []*promise, list []found, asked time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	by := map[string]found{}
	of := map[string]string{}
	for _, c := range list {
		id := c.session
		by[c.id] = c
		if other, twice := of[id]; twice {
			m.l.broke("session %s has two sandboxes: %s and %s", id, short(other), short(c.id))
		}
		of[id] = c.id
		m.judgeOne(id, c, asked)
	}
	now := time.Now()
	for _, p := range must {
		if c, there := by[p.sandbox]; m.live(p, now) && (!there || !c.running) {
			m.l.broke("%v before its deadline the sandbox is there: %v, %s; %s", p.early.Sub(now), there, c.state, p)
		}
	}
}

// judgeOne holds one sandbox of ours against the promises. m.mu is held.
func (m *model) judgeOne(id string, c found, asked time.Time) {
	p := m.of[id]
	switch {
	case p == nil:
		if _, made := m.decoy[id]; !made {
			m.l.broke("sandbox %s is of session %s, which nobody has asked for: %s", short(c.id), id, c.state)
		}
	case !p.deleted.IsZero() && p.deleted.Before(asked):
		m.l.broke("sandbox %s is there (%s), and its delete was acknowledged %v before; %s", short(c.id), c.state, asked.Sub(p.deleted), p)
	case !p.stopped.IsZero() && p.stopped.Before(asked) && c.running:
		m.l.broke("sandbox %s runs, and its stop was acknowledged %v before; %s", short(c.id), asked.Sub(p.stopped), p)
	case !p.ended.IsZero() && p.ended.Before(asked) && p.flight == 0:
		m.l.broke("sandbox %s is there (%s), and its session had ended; %s", short(c.id), c.state, p)
	case !p.acked.IsZero() && p.acked.Before(asked) && c.id != p.sandbox:
		m.l.broke("session %s has sandbox %s, and %s was acknowledged", id, short(c.id), short(p.sandbox))
	}
}

// calm is called when no fault is given: all that is overdue goes, the decoys stand, and
// watchers were told of every end.
func (l *lane) calm() bool {
	if !l.ready(90 * time.Second) {
		return false
	}
	end := time.Now().Add(chaosBound)
	for {
		overdue := l.overdue()
		if overdue == "" {
			break
		}
		if time.Now().After(end) {
			l.broke("no fault is given for %v, and %s\n%s", chaosBound, overdue, l.logTail(40))
			return false
		}
		if !l.pause(200 * time.Millisecond) {
			return false
		}
	}
	return l.decoysStand() && l.watchersKnow()
}

// overdue tells of a sandbox that should be gone.
func (l *lane) overdue() string {
	asked := time.Now()
	list, ok := l.on.listed(l.ctx, l.s.owner)
	if !ok {
		return "nobody tells what is there"
	}
	l.model.mu.Lock()
	defer l.model.mu.Unlock()
	for _, c := range list {
		if p := l.model.of[c.session]; p != nil && p.flight == 0 && asked.After(p.late) {
			return "sandbox " + short(c.id) + " (" + c.state + ") is there past its time; " + p.String()
		}
	}
	return ""
}

// watchersKnow checks that each end that somebody has seen was told to the watcher too.
func (l *lane) watchersKnow() bool {
	untold := func() *promise {
		l.model.mu.Lock()
		defer l.model.mu.Unlock()
		for _, p := range l.model.of {
			if p.end != nil && !p.told && time.Since(p.ended) < chaosRetention/2 {
				return p
			}
		}
		return nil
	}
	for end := time.Now().Add(10 * time.Second); untold() != nil; {
		if time.Now().After(end) {
			l.broke("the watcher was not told of an end; %s", untold())
			return false
		}
		if !l.pause(100 * time.Millisecond) {
			return false
		}
	}
	return true
}

// watch follows the host's events for as long as ctx lasts, over all its lives.
func (l *lane) watch(ctx context.Context) {
	order := map[host.Status]int{host.StatusCreating: 1, host.StatusRunning: 2, host.StatusStopping: 3, host.StatusStopped: 4, host.StatusDeleting: 5, host.StatusEnded: 6}
	was := map[string]host.Status{}
	seq, synced := uint64(0), false
	for ev := range l.client.Watch(ctx) {
		switch {
		case ev.Type == host.EventResync:
			clear(was)
			seq, synced = 0, false
			continue
		case ev.Type == host.EventSynced:
			synced = true
		case synced && ev.Seq != seq+1:
			l.broke("the watcher is told event %d after %d", ev.Seq, seq)
		}
		seq = ev.Seq
		id := ev.Session.ID
		switch ev.Type {
		case host.EventPruned:
			if was[id] != host.StatusEnded {
				l.broke("the watcher is told that %s is pruned, and it was %q", id, was[id])
			}
			delete(was, id)
		case host.EventSnapshot, host.EventChanged:
			now := ev.Session.Status
			again := was[id] == host.StatusEnded && now == host.StatusCreating // of a failed create
			if order[now] != 0 && order[now] < order[was[id]] && !again {
				l.broke("the watcher is told that %s is %s, after it was %s", id, now, was[id])
			}
			if order[now] != 0 {
				was[id] = now
			}
			if now == host.StatusEnded {
				l.model.toldEnd(ev.Session)
			}
		}
	}
}

// toldEnd judges the end that a watcher is told of.
func (m *model) toldEnd(v host.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.of[v.ID]; p != nil {
		p.told = true
		m.judgeEnd(p, v)
	}
}
