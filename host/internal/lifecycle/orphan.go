package lifecycle

import (
	"time"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// orphan is a sandbox of our owner without a session.
type orphan struct {
	first time.Time // when the first complete list with it was asked for
}

// judgeOthers looks at the sandboxes that no session knows, and returns those that are to
// be adopted. Somebody else's are counted and left alone. Ours go after two complete lists
// at least one interval apart, when they are older than create_timeout.
func (e *Engine) judgeOthers(b *backend, listed map[string]provider.Sandbox, unreadable []provider.Unreadable, sent time.Time) (adopt []provider.Sandbox) {
	held := map[string]bool{} // by living sessions, whatever the list says about them
	for _, s := range e.of(b) {
		held[s.record().SandboxID] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := map[string]bool{}
	for _, u := range unreadable {
		now[u.ID] = true
		if b.first(u.ID) {
			what := "a sandbox's labels can't be read; it is left alone"
			if held[u.ID] {
				what = "a sandbox's labels can't be read; its session keeps it until its deadline"
			}
			e.observer.Orphan(b.name, "unreadable")
			e.log.Warn(what, "provider", b.name, "sandbox_id", u.ID, "reason", u.Reason)
		}
	}
	for id, sb := range listed {
		now[id] = true
		switch {
		case held[id], e.claimed(sb):
			delete(b.orphans, id)
		case e.adoptable(b, sb) && BeingMade(sb, e.owner, time.Now(), e.limits().CreateTimeout):
		case e.adoptable(b, sb):
			adopt = append(adopt, sb)
		case sb.Owner != e.owner:
			if b.first(id) {
				e.observer.Orphan(b.name, "foreign")
				e.log.Info("a sandbox of another owner is left alone", "provider", b.name, "sandbox_id", id, "owner", sb.Owner)
			}
		default:
			e.judgeOrphan(b, sb, sent)
		}
	}
	for id := range b.seen {
		if !now[id] {
			delete(b.seen, id)
		}
	}
	for id := range b.orphans {
		if !now[id] {
			delete(b.orphans, id)
		}
	}
	return adopt
}

// first reports whether this sandbox is seen for the first time. b.mu is held.
func (b *backend) first(id string) bool {
	_, was := b.seen[id]
	b.seen[id] = struct{}{}
	return !was
}

func (e *Engine) judgeOrphan(b *backend, sb provider.Sandbox, sent time.Time) {
	o, again := b.orphans[sb.ID]
	if !again {
		b.orphans[sb.ID] = orphan{first: sent}
		return
	}
	if sent.Sub(o.first) < e.limits().SweepInterval || sent.Sub(sb.CreatedAt) <= e.limits().CreateTimeout {
		return
	}
	e.spawn(func() { e.deleteOrphan(b, sb) })
}

func (e *Engine) deleteOrphan(b *backend, sb provider.Sandbox) {
	if !b.reaping.take(e.closing, nil) {
		return
	}
	defer b.reaping.release()
	rec := e.orphanRecord(b, sb)
	if e.reachable(b, rec, "delete") != nil || e.sameBackend(e.base, b, rec) != nil || e.claimed(sb) {
		return // the next sweep finds it again
	}
	err := crash.Point("host.orphan.deleting")
	if err == nil {
		err = e.remove(e.base, b, rec, sb.ID)
	}
	if err != nil {
		e.log.Warn("an orphan could not be deleted; the next sweep tries again", "sandbox_id", sb.ID, "err", err)
		return
	}
	b.mu.Lock()
	_, counted := b.orphans[sb.ID]
	delete(b.orphans, sb.ID)
	b.mu.Unlock()
	if counted {
		e.observer.Orphan(b.name, "deleted")
		e.log.Warn("an orphan was deleted", "provider", b.name, "sandbox_id", sb.ID, "session_id", sb.SessionID)
	}
}
