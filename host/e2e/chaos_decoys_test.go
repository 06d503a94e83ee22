//go:build chaos && linux

package e2e

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"
)

// decoy is a sandbox that Berth has not made.
type decoy struct {
	id      string // of the sandbox, once it is known
	what    string
	made    time.Time
	until   time.Time // before it, by the host's clock, nobody may touch it; zero: never may anybody
	started string

	stepMost time.Duration // how far the host's clock was ahead since, at most
}

const foreverDecoy = "another's"

// makeDecoy makes a sandbox with some labels, past Berth.
func (l *lane) makeDecoy(what string, until time.Time, start bool, changed ...string) {
	ctx, cancel := context.WithTimeout(l.ctx, patience)
	defer cancel()
	session := uuid.NewString()
	labels := with(foreignLabels(), append([]string{"session_id", session, "endpoint_port", "0"}, changed...)...)
	l.model.mu.Lock()
	l.model.decoy[session] = decoy{what: what, made: time.Now(), until: until, stepMost: max(0, l.model.step)}
	l.model.mu.Unlock()
	id, err := l.on.make(ctx, labels, start)
	l.model.decoyIs(session, func(d *decoy) { d.id = id })
	if err != nil || !start {
		return // the daemon may be down just now
	}
	if f, there, err := l.on.find(ctx, id); there && err == nil {
		l.model.decoyIs(session, func(d *decoy) { d.started = f.started })
	}
}

// decoyIs notes more about a decoy.
func (m *model) decoyIs(session string, change func(*decoy)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.decoy[session]
	change(&d)
	m.decoy[session] = d
}

// decoysStep notes that the host's clock is set. m.mu is held.
func (m *model) decoysStep() {
	for session, d := range m.decoy {
		d.stepMost = max(d.stepMost, m.step)
		m.decoy[session] = d
	}
}

// forgetDecoys is told before the daemon ends every container.
func (m *model) forgetDecoys() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for session, d := range m.decoy {
		d.started, d.until = "", time.Time{}
		m.decoy[session] = d
	}
}

// makeForeign makes what nobody may touch: one without an owner, and one of another.
func (l *lane) makeForeign() {
	l.makeDecoy(foreverDecoy, time.Time{}, true)
	l.makeDecoy(foreverDecoy, time.Time{}, true, "berth.owner", "another-"+l.s.owner)
}

// makeOrphan makes a sandbox of ours without a session: it has to go, in time.
func (l *lane) makeOrphan() {
	l.makeDecoy("orphan", time.Now().Add(chaosCreate-2*time.Second), false, "berth.owner", l.s.owner)
}

// makeAdoptee makes a sandbox of an owner that the configuration names in adopt.
func (l *lane) makeAdoptee() {
	until := time.Now().Add(12 * time.Second).Truncate(time.Microsecond)
	l.makeDecoy("adoptee", until, true, "berth.owner", l.adopteeOwner(), "expires_at", until.UTC().Format("2006-01-02T15:04:05.000000")+"+00:00")
}

// decoysStand checks that nobody has touched the foreign sandboxes, and that orphans and
// adoptees go in time, not before.
func (l *lane) decoysStand() bool {
	l.model.mu.Lock()
	all := map[string]decoy{}
	maps.Copy(all, l.model.decoy)
	l.model.mu.Unlock()
	for session, d := range all {
		if d.id == "" {
			continue
		}
		ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
		f, there, err := l.on.find(ctx, d.id)
		cancel()
		if err != nil {
			continue
		}
		switch {
		case d.what == foreverDecoy && d.started != "" && (!there || !f.running || f.started != d.started):
			l.broke("a foreign sandbox was touched: %s is there: %v, %s, started %q, was %q", short(d.id), there, f.state, f.started, d.started)
		case !there && time.Now().Before(d.until.Add(-d.stepMost)):
			l.broke("%s %s has gone %v too early", d.what, short(d.id), time.Until(d.until.Add(-d.stepMost)))
		case !there:
			l.model.mu.Lock()
			delete(l.model.decoy, session)
			l.model.mu.Unlock()
		case d.what != foreverDecoy && time.Since(d.made) > 3*time.Minute:
			l.broke("%s %s is still there after %v", d.what, short(d.id), time.Since(d.made))
		default:
			continue
		}
		if l.ctx.Err() != nil {
			return false
		}
	}
	return true
}
