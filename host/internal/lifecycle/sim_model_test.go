package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lease/leasetest"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// promise is what a caller was told of a running session.
type promise struct {
	id, box  string
	created  time.Time
	known    time.Time  // since when its deadline certainly runs, and what the machine sleeps counts
	deadline time.Time  // the latest that was acknowledged, by the wall clock
	ended    *lease.End // once it is shown
	lost     bool       // its lease is; it may not be adopted yet
	again    bool       // it had ended, and a crash came before that was on disk
}

const (
	simCalm  = 4 * time.Minute // after which no earlier fault has any effect
	simSlack = time.Second     // what the engine may take when all is well
	simTick  = 2 * time.Second // until it notices that the machine has slept
)

// try tells a session from an earlier one of the same id, which has failed.
func try(s lifecycle.Session) string { return s.ID + s.CreatedAt.String() }

// breaks keeps the first promise that is broken.
func (k *sim) breaks(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.breaksLocked(format, args...)
}

func (k *sim) breaksLocked(format string, args ...any) {
	if k.broken == nil {
		k.broken = fmt.Errorf(format, args...)
		k.told = append(k.told, fmt.Sprintf("%9v ! %v", k.at(time.Now()), k.broken))
	}
}

// acknowledged takes in what a verb has answered in the life of the host that is given.
func (k *sim) acknowledged(life int, s lifecycle.Session, ensured bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if life != k.life || s.Status == lifecycle.StatusEnded {
		return // a dead host answers nobody
	}
	if s.ExpiresAt.After(k.until[try(s)]) {
		k.until[try(s)] = s.ExpiresAt
	}
	if s.Status != lifecycle.StatusRunning {
		return
	}
	if ensured {
		k.ensured[s.SandboxID] = s.ChatID
	}
	p := k.promised[s.SandboxID]
	if p == nil {
		p = &promise{id: s.ID, box: s.SandboxID, created: s.CreatedAt, known: time.Now()}
		k.promised[p.box] = p
		k.promises = append(k.promises, p)
	}
	if s.ExpiresAt.After(p.deadline) {
		p.deadline = s.ExpiresAt
	}
	if p.id != s.ID {
		k.breaksLocked("the sandbox %s was given to %s and to %s", p.box, k.nameLocked(p.id), k.nameLocked(s.ID))
	}
}

// refused takes in that a verb has failed. What it wanted to write may be on disk all the same.
func (k *sim) refused(err error) {
	var bad *lifecycle.Error
	if errors.As(err, &bad) && bad.Code == lifecycle.CodeUnavailable {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.unsure[bad.SessionID] = true
	}
}

// leased checks that what is asked of the provider is on disk by then: what it is, where it
// will be, and until when. Else a crash would leave a sandbox that nobody knows.
func (k *sim) leased(store *leasetest.Memory) func(provider.Spec) {
	return func(spec provider.Spec) {
		rec, there := store.Record(spec.SessionID)
		if !there || rec.State == lease.Ended || rec.Identity == "" || rec.ExpiresAt.Before(spec.ExpiresAt) {
			k.breaks("a sandbox of %s until %v was asked for, and on disk it is %q, on %q, until %v",
				k.name(spec.SessionID), spec.ExpiresAt, rec.State, rec.Identity, rec.ExpiresAt)
		}
	}
}

// stray is a sandbox of ours that has no session.
type stray struct {
	earliest time.Time // before when it must not go
	first    time.Time // when the first complete list of this life was asked for that has it
	ripe     bool      // so has another, at least an interval later
}

// listed takes in a complete list.
func (k *sim) listed(sent time.Time, ids []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		switch o := k.orphaned[id]; {
		case o == nil:
		case o.first.IsZero():
			o.first = sent
		case sent.Sub(o.first) >= k.limits.SweepInterval:
			o.ripe = true
		}
	}
}

// removed checks that a delete has removed the sandbox that it meant.
func (k *sim) removed(req provider.DeleteRequest, was provider.Sandbox) {
	if was.Owner != req.Fence.Owner || was.SessionID != req.Fence.SessionID {
		k.breaks("the sandbox %s of %q and %s was removed, and that of %q and %s was meant",
			was.ID, was.Owner, k.name(was.SessionID), req.Fence.Owner, k.name(req.Fence.SessionID))
	}
}

// called and answered frame a stop or a delete: a session that is there meanwhile may end.
func (k *sim) called(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls[id]++
}

func (k *sim) answered(life int, id string, store func(string) (lease.Record, bool)) {
	rec, _ := store(id)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls[id]--
	k.lastCall[id] = time.Now()
	if life != k.life || rec.SandboxID == "" {
		return
	}
	switch rec.State { // what is on disk is carried out
	case lease.Deleting, lease.Ended:
		k.doomed[rec.SandboxID] = "deleted"
	case lease.Stopping, lease.Stopped:
		if k.doomed[rec.SandboxID] == "" {
			k.doomed[rec.SandboxID] = "stopped"
		}
	}
}

// excused reports whether a caller may have ended the session.
func (k *sim) excused(p *promise) bool {
	last, ok := k.lastCall[p.id]
	return p.again || k.calls[p.id] > 0 || ok && !last.Before(p.created)
}

// all is what is shown.
func (k *sim) all() []lifecycle.Session {
	all, err := k.engine.List(lifecycle.Filter{All: true})
	if err != nil {
		k.breaks("list: %v", err)
	}
	return all
}

// check compares what is shown, and what is at the backend, with what was promised.
func (k *sim) check() {
	all := k.all()
	fooled := k.sup.fooledBy()
	k.mu.Lock()
	defer k.mu.Unlock()
	shown := map[string]lifecycle.Session{}
	for _, s := range all {
		shown[s.ID] = s
	}
	boxes := map[string]provider.Sandbox{}
	of := map[string]string{}
	for _, box := range k.mem.Sandboxes() {
		boxes[box.ID] = box
		if box.Owner == owner {
			if other := of[box.SessionID]; other != "" {
				k.breaksLocked("%s has two sandboxes, %s and %s", k.nameLocked(box.SessionID), other, box.ID)
			}
			of[box.SessionID] = box.ID
		}
	}
	if fooled != nil {
		k.breaksLocked("a generation is READY, and its list has failed: %v", fooled)
	}
	for id, o := range k.orphaned {
		_, there := boxes[id]
		_, killed := k.killed[id]
		switch {
		case there, killed:
		case time.Now().Before(o.earliest):
			k.breaksLocked("the orphan %s went before %v", id, k.at(o.earliest))
		case !o.ripe:
			k.breaksLocked("the orphan %s went, and no two complete lists at least an interval apart have it", id)
		}
		if !there {
			delete(k.orphaned, id)
		}
	}
	for _, id := range k.foreign {
		if boxes[id].State != provider.StateRunning {
			k.breaksLocked("the foreign sandbox %s was touched: it is %q", id, boxes[id].State)
		}
	}
	k.promises = slices.DeleteFunc(k.promises, func(p *promise) bool {
		s, there := shown[p.id]
		over := k.compare(p, s, there && s.SandboxID == p.box, boxes)
		if over {
			delete(k.promised, p.box)
		}
		return over
	})
	chats := map[string]string{}
	for _, s := range all {
		box, there := boxes[s.SandboxID]
		k.look(s, box, there)
		chat, ensured := k.ensured[s.SandboxID]
		if ensured && s.Status == lifecycle.StatusRunning && box.State == provider.StateRunning &&
			time.Now().Before(s.ExpiresAt.Add(-k.slept(s.CreatedAt))) {
			if other := chats[chat]; other != "" {
				k.breaksLocked("the chat of %s has %s, too", k.nameLocked(s.ID), k.nameLocked(other))
			}
			chats[chat] = s.ID
		}
	}
}

// look checks one session as it is shown, whether somebody was promised it or not.
func (k *sim) look(s lifecycle.Session, box provider.Sandbox, there bool) {
	name, now := k.nameLocked(s.ID), time.Now()
	if until := k.until[try(s)]; s.ExpiresAt.Before(until) {
		k.breaksLocked("%s was extended until %v, and its deadline is %v", name, k.at(until), k.at(s.ExpiresAt))
	}
	if s.Status == lifecycle.StatusEnded {
		if !k.seen[try(s)] && !k.lagged {
			k.breaksLocked("%s is shown as ended, and no watcher was told", name)
		}
		return
	}
	if s.Status == lifecycle.StatusUnknown && k.sup.Status().State == lifecycle.Ready {
		k.breaksLocked("%s is unknown, and its provider is READY", name)
	}
	if k.good.IsZero() {
		return
	}
	if calm := k.good.Add(simCalm); !s.ExpiresAt.IsZero() && !now.Before(later2(s.ExpiresAt, calm).Add(simSlack)) {
		k.breaksLocked("%s is %s after its deadline %v", name, s.Status, k.at(s.ExpiresAt))
	} else if killed, ok := k.killed[s.SandboxID]; ok && s.Status == lifecycle.StatusRunning && (!there || box.State == provider.StateExited) &&
		!now.Before(later2(killed.Add(k.limits.SweepInterval), calm).Add(simSlack)) {
		k.breaksLocked("%s is running, and its sandbox has been gone since %v", name, k.at(killed))
	}
}

func later2(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// compare holds a promise against what is shown of its session. It reports whether nothing
// more can be said about it.
func (k *sim) compare(p *promise, s lifecycle.Session, there bool, boxes map[string]provider.Sandbox) (over bool) {
	name, now := k.nameLocked(p.id), time.Now()
	box := boxes[p.box]
	lives := box.State == provider.StateRunning || box.State == provider.StatePaused
	_, killed := k.killed[p.box]
	passed := !now.Before(k.earliest(p))
	due := lives || killed || k.excused(p) || passed
	switch {
	case p.ended != nil && there && (s.Ended == nil || s.Ended.Reason != p.ended.Reason || !s.Ended.At.Equal(p.ended.At)):
		k.breaksLocked("%s had ended: %+v, and is %s: %+v", name, *p.ended, s.Status, s.Ended)
	case p.ended != nil && !there:
		if now.Before(k.kept(p)) {
			k.breaksLocked("%s had ended at %v, and is forgotten before its time", name, k.at(p.ended.At))
		}
		return true
	case p.ended != nil:
	case !there && p.lost:
		if !due {
			k.breaksLocked("the sandbox of %s, whose lease was lost, is gone before %v", name, k.at(p.deadline))
		}
		return killed || k.excused(p) || passed
	case !there:
		k.breaksLocked("%s with the sandbox %s was acknowledged, and is not known", name, p.box)
	case s.Ended != nil:
		p.ended = s.Ended
		k.judge(p, s, name, killed)
	case s.ExpiresAt.Before(p.deadline):
		k.breaksLocked("%v was promised to %s, and its deadline is %v", k.at(p.deadline), name, k.at(s.ExpiresAt))
	case k.overslept(p, s):
		k.breaksLocked("%s is %s, and the machine has slept over its deadline %v: %v", name, s.Status, k.at(p.deadline), k.naps)
	case killed, k.excused(p), passed:
	case s.Status != lifecycle.StatusRunning && s.Status != lifecycle.StatusUnknown:
		k.breaksLocked("%s is %s before its deadline %v", name, s.Status, k.at(p.deadline))
	case !lives:
		k.breaksLocked("the sandbox %s of %s is %q before its deadline %v", p.box, name, box.State, k.at(p.deadline))
	}
	if p.lost && there {
		p.lost, p.known = false, now
	}
	return false
}

// earliest is before when nothing may end the session by itself.
func (k *sim) earliest(p *promise) time.Time { return p.deadline.Add(-k.slept(p.created)) }

// kept is until when its end is to be seen.
func (k *sim) kept(p *promise) time.Time {
	return p.ended.At.Add(k.limits.EndedRetention - k.slept(p.ended.At))
}

// overslept reports whether the session should have ended, for what the machine has slept
// has been counted, too.
func (k *sim) overslept(p *promise, s lifecycle.Session) bool {
	if k.good.IsZero() || len(k.naps) == 0 || !s.ExpiresAt.Equal(p.deadline) {
		return false
	}
	noticed := k.naps[len(k.naps)-1].at.Add(simTick)
	due := later2(p.deadline.Add(-k.slept(p.known)), later2(noticed, k.good.Add(simCalm)))
	return !time.Now().Before(due.Add(simSlack))
}

// judge checks the reason of an end.
func (k *sim) judge(p *promise, s lifecycle.Session, name string, killed bool) {
	fine := false
	switch s.Ended.Reason {
	case lease.Expired:
		early := k.slept(p.created)
		fine = p.again || !s.Ended.At.Before(p.deadline.Add(-early)) && !s.Ended.At.Before(s.ExpiresAt.Add(-early))
	case lease.Deleted:
		fine = k.excused(p)
	case lease.Exited, lease.OOMKilled, lease.Removed:
		// On disk its deadline may be later than it was here, where it was ended in time.
		fine = killed || k.excused(p) || k.unsure[p.id] && !s.Ended.At.Before(k.earliest(p))
	}
	if !fine {
		k.breaksLocked("%s ended as %s at %v; it was promised until %v, and nothing else should have ended it",
			name, s.Ended.Reason, k.at(s.Ended.At), k.at(p.deadline))
	}
}

// watch is a watcher that keeps up, for one life of the host.
func (k *sim) watchLife() {
	ctx, cancel := context.WithCancel(context.Background())
	k.unwatch = cancel
	k.mu.Lock()
	k.seen, k.lagged = map[string]bool{}, false
	k.mu.Unlock()
	e := k.engine
	k.watchers.Go(func() {
		var seq uint64
		for ev := range e.Watch(ctx) {
			k.mu.Lock()
			switch {
			case ev.Type == lifecycle.EventResync:
				k.lagged = true
			case ev.Seq < seq || ev.Seq == seq && ev.Type == lifecycle.EventChanged:
				k.breaksLocked("a watcher was told number %d after %d", ev.Seq, seq)
			case ev.Type == lifecycle.EventProgress, ev.Type == lifecycle.EventSynced, ev.Type == lifecycle.EventPruned:
			case ev.Session.Status == lifecycle.StatusEnded:
				k.seen[try(ev.Session)] = true
			case k.seen[try(ev.Session)] && !ev.Session.CreatedAt.IsZero():
				k.breaksLocked("a watcher was told that %s has ended, and then that it is %s", k.nameLocked(ev.Session.ID), ev.Session.Status)
			}
			seq = max(seq, ev.Seq)
			k.mu.Unlock()
		}
	})
}
