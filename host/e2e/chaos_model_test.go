//go:build chaos && linux

package e2e

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/berth-dev/berth/host"
)

// model is what was asked for, what was acknowledged, and so what has to be. Times are those
// of this process, whose clock nobody sets; the host's may differ from it by a step.
type model struct {
	l  *lane
	mu sync.Mutex
	of map[string]*promise

	full bool // the store can't write, now

	step  time.Duration // of the host's wall clock, now
	decoy map[string]decoy
}

// promise is one session as its clients know it.
type promise struct {
	id, chat, how string
	ttl           time.Duration
	asked         time.Time
	tried         time.Time // when a create was sent, or given up, last
	flight        int       // creates under way
	acked         time.Time // of the first answer that said it runs; zero: none did
	sandbox       string

	// By the host's clock: the latest deadline that was acknowledged, and the latest that
	// it may have.
	expires, most time.Time
	promised      time.Time // when expires was acknowledged
	// By this clock: it lives until early at least, and until late at most.
	early, late time.Time

	doomed  time.Time // a delete was sent
	deleted time.Time // and acknowledged
	halting time.Time // a stop was sent
	stopped time.Time // and acknowledged
	harmed  string    // what was done to its sandbox behind Berth's back

	// How far the host's clock was ahead in its life, at least and at most.
	stepLeast, stepMost time.Duration

	ended     time.Time // when it was first seen to have ended
	told      bool      // a watcher was told so
	end       *host.End
	unwritten bool        // the store could not write in its life: its end may be told anew after a crash
	fateful   host.Reason // of the last end that was told, of an earlier try too
	status    host.Status // as last seen
}

func newModel(l *lane) *model {
	return &model{l: l, of: map[string]*promise{}, decoy: map[string]decoy{}}
}

// want notes that a session is asked for.
func (m *model) want(id, chat, how string, ttl time.Duration) *promise {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.of[id]
	if p == nil {
		p = &promise{id: id, chat: chat, how: how, ttl: ttl, asked: time.Now(), stepLeast: m.step, stepMost: m.step, unwritten: m.full}
		m.of[id] = p
	}
	p.flight++
	return p
}

// try notes that a create is sent, and when. A session that has failed may be tried again.
func (m *model) try(p *promise) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.tried = time.Now()
	p.again()
	return p.tried
}

// again forgets that a try has failed, when there is another.
func (p *promise) again() {
	if p.end != nil && p.end.Reason == host.ReasonFailed {
		p.ended, p.end, p.told = time.Time{}, nil, false
	}
}

// unheard notes that a create, or an ensure, was not acknowledged: it may have come to be.
func (m *model) unheard(p *promise) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.flight--
	p.tried = time.Now()
	if until := time.Now().Add(chaosCreate + p.ttl); p.acked.IsZero() && until.After(p.late) {
		p.late, p.most = until, until.Add(m.step)
	}
}

// runs notes an answer that says that a session runs. asked is when it was asked for: what a
// delete overtakes may have been answered before, and be heard after.
func (m *model) runs(v host.Session, verb string, asked time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.of[v.ID]
	if p == nil {
		m.l.broke("%s answers with session %s, which nobody has asked for", verb, v.ID)
		return
	}
	now := time.Now()
	switch {
	case v.Status == host.StatusRunning && v.SandboxID == "":
		m.l.broke("%s of %s: it runs, and has no sandbox: %+v", verb, v.ID, v)
	case p.sandbox != "" && v.SandboxID != "" && v.SandboxID != p.sandbox:
		m.l.broke("%s of %s: its sandbox is %s, and was acknowledged as %s", verb, v.ID, short(v.SandboxID), short(p.sandbox))
	case !p.deleted.IsZero() && asked.After(p.deleted):
		m.l.broke("%s of %s: it is %s, and its delete was acknowledged %v before", verb, v.ID, v.Status, asked.Sub(p.deleted))
	}
	if v.Status != host.StatusRunning {
		return
	}
	if p.acked.IsZero() {
		p.acked, p.sandbox = now, v.SandboxID
		p.again()
		p.late = time.Time{} // known better now
		p.most = time.Time{}
	}
	m.deadline(p, v.ExpiresAt)
}

// deadline takes an acknowledged deadline. m.mu is held.
func (m *model) deadline(p *promise, expires time.Time) {
	if expires.After(p.expires) {
		p.expires, p.promised = expires, time.Now()
	}
	if expires.After(p.most) {
		p.most = expires
	}
	p.bound()
}

// bound works out how long it has to live, and may.
func (p *promise) bound() {
	if !p.expires.IsZero() {
		p.early = p.expires.Add(-p.stepMost)
	}
	if late := p.most.Add(-p.stepLeast); late.After(p.late) {
		p.late = late
	}
}

// maybe notes an extension whose answer was not heard.
func (m *model) maybe(p *promise, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until.After(p.most) {
		p.most = until
	}
	p.bound()
}

// storeFails notes that the store can't write from now on, or that it can again. What must
// be on disk before it is acknowledged is refused meanwhile, and the rest is kept in memory.
func (m *model) storeFails(now bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = now
	for _, p := range m.of {
		if p.ended.IsZero() || time.Since(p.ended) < 5*time.Second {
			p.unwritten = true
		}
	}
}

// stepTo notes that the host's wall clock is set.
func (m *model) stepTo(step time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step = step
	m.decoysStep()
	for _, p := range m.of {
		if p.ended.IsZero() {
			p.stepLeast, p.stepMost = min(p.stepLeast, step), max(p.stepMost, step)
			p.bound()
		}
	}
}

func (p *promise) stepped() bool { return p.stepLeast != p.stepMost }

// seen judges what get says of a session. asked is when it was asked.
func (m *model) seen(v host.Session, asked time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.of[v.ID]
	if p == nil {
		return
	}
	p.status = v.Status
	switch {
	case v.Status == host.StatusEnded:
		m.judgeEnd(p, v)
		return
	case p.unwritten && (!p.deleted.IsZero() || !p.ended.IsZero()):
	case !p.deleted.IsZero() && asked.After(p.deleted):
		m.l.broke("%s is %s, and its delete was acknowledged %v before", p.id, v.Status, asked.Sub(p.deleted))
	case !p.ended.IsZero() && asked.After(p.ended) && p.flight == 0 && (p.end == nil || p.end.Reason != host.ReasonFailed):
		m.l.broke("%s is %s, and it had ended %v before", p.id, v.Status, asked.Sub(p.ended))
	case p.acked.IsZero() || asked.Before(p.acked):
	case v.SandboxID != p.sandbox:
		m.l.broke("%s has sandbox %q, and %q was acknowledged", p.id, v.SandboxID, p.sandbox)
	case v.ExpiresAt.Before(p.expires) && asked.After(p.promised):
		m.l.broke("%s expires at %v, and %v was acknowledged", p.id, v.ExpiresAt, p.expires)
	}
}

// judgeEnd holds a terminal record against what is known. m.mu is held.
func (m *model) judgeEnd(p *promise, v host.Session) {
	if v.Ended == nil {
		m.l.broke("%s has ended, and does not say how", p.id)
		return
	}
	end := *v.Ended
	p.fateful = end.Reason
	if at := end.At.Add(-p.stepMost); end.Reason == host.ReasonFailed && (p.flight > 0 || at.Before(p.tried) || at.Before(p.acked)) {
		return // of an earlier try, perhaps
	}
	if p.ended.IsZero() {
		p.ended = time.Now()
	}
	if p.end != nil && (p.end.Reason != end.Reason || !p.end.At.Equal(end.At)) && p.end.Reason != host.ReasonFailed && !p.unwritten {
		m.l.broke("%s had ended as %+v, and now as %+v", p.id, *p.end, end)
	}
	p.end = &end
	bad := ""
	switch end.Reason {
	case host.ReasonExpired:
		if end.At.Before(p.expires) && !p.stepped() {
			bad = fmt.Sprintf("its deadline is %v", p.expires)
		}
	case host.ReasonDeleted:
		if p.doomed.IsZero() {
			bad = "nobody has deleted it"
		}
	case host.ReasonExited, host.ReasonRemoved:
		if p.harmed == "" && !p.acked.IsZero() && !p.stepped() && !p.unwritten {
			bad = "nobody has touched its sandbox"
		}
	case host.ReasonFailed:
		if !p.acked.IsZero() {
			bad = "it was acknowledged as running"
		}
	default:
		bad = "that is no reason for it"
	}
	if bad != "" {
		m.l.broke("%s has ended as %+v, and %s; %s", p.id, end, bad, p)
	}
}

// missing judges a "not found". asked is when it was asked.
func (m *model) missing(p *promise, asked time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.acked.IsZero() || p.acked.After(asked) {
		return
	}
	if p.ended.IsZero() && time.Now().Before(p.late) || !p.ended.IsZero() && asked.Before(p.ended.Add(chaosRetention/2)) && p.end.At.Add(chaosRetention/2).After(asked.Add(m.step)) {
		m.l.broke("%s is not found; %s", p.id, p)
	}
}

// mustLive are the sessions whose sandbox has to run now. m.mu is held.
func (m *model) mustLive(now time.Time) (list []*promise) {
	for _, p := range m.of {
		if m.live(p, now) {
			list = append(list, p)
		}
	}
	return list
}

func (m *model) live(p *promise, now time.Time) bool {
	return !p.acked.IsZero() && now.Before(p.early) && p.doomed.IsZero() && p.halting.IsZero() && p.harmed == "" && p.ended.IsZero()
}

// harm notes what is about to be done to sessions' sandboxes.
func (m *model) harm(what string, list ...*promise) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(list) == 0 { // all
		for _, p := range m.of {
			list = append(list, p)
		}
	}
	for _, p := range list {
		if p.ended.IsZero() && p.harmed == "" {
			p.harmed = what
		}
	}
}

// anyLive picks a session that has to live, by the schedule.
func (m *model) anyLive() *promise {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.mustLive(time.Now().Add(time.Second))
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b *promise) int { return a.asked.Compare(b.asked) })
	return list[m.l.rng.IntN(len(list))]
}

func (p *promise) String() string {
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.UTC().Format("15:04:05.000")
	}
	end := "-"
	if p.end != nil {
		end = string(p.end.Reason) + " at " + at(p.end.At)
	}
	return fmt.Sprintf("%s %s sandbox %s asked %s acked %s lives till %s gone after %s stop %s/%s delete %s/%s harmed %q ended %s: %s",
		p.how, p.id, short(p.sandbox), at(p.asked), at(p.acked), at(p.early), at(p.late), at(p.halting), at(p.stopped), at(p.doomed), at(p.deleted), p.harmed, at(p.ended), end)
}
