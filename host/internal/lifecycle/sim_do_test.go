package lifecycle_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lease/leasetest"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// do carries out one step.
func (k *sim) do(s step) {
	switch s.do {
	case "pass":
		k.pass(s.d)
	case "sleep":
		k.sleep(s.d)
	case "deadline":
		k.nearDeadline(s)
	case "orphan":
		k.orphan(s.short)
	case "heal":
		k.heal()
	case "up":
		k.up()
	case "crash":
		k.crashed()
		k.goodAgain()
	case "restart":
		k.restarted()
		k.goodAgain()
	case "lost store":
		k.loseStore()
		k.goodAgain()
	case "cut":
		k.mu.Lock()
		k.cutIn, k.cutLands = s.n, s.after
		k.mu.Unlock()
		k.goodAgain()
	case "create", "mint", "ensure", "extend", "stop", "delete", "get":
		k.verb(s)
	case "exit", "oom", "vanish", "pause", "revive", "emit":
		k.disturb(s)
	default:
		k.good = time.Time{}
		k.spoil(s)
	}
}

// goodAgain: after a new start what is well is so from now on.
func (k *sim) goodAgain() {
	if !k.good.IsZero() {
		k.good = time.Now()
	}
}

// verb calls a verb, and waits for it where the step says so, or the host dies.
func (k *sim) verb(s step) {
	e, store := k.engine, k.store
	k.mu.Lock()
	life, dead := k.life, k.dead
	k.mu.Unlock()
	over := make(chan struct{})
	k.verbs.Go(func() {
		defer close(over)
		ctx, cancel := context.WithTimeout(context.Background(), max(s.patience, time.Second))
		defer cancel()
		var answer lifecycle.Session
		var err error
		id := cmp.Or(s.of, k.target(s.id))
		switch s.do {
		case "create":
			id = simID(s.id)
			answer, err = e.Create(ctx, simRequest(s, id, chat))
		case "mint":
			answer, err = e.Create(ctx, simRequest(s, "", chat))
		case "ensure":
			answer, err = e.Ensure(ctx, simRequest(s, "", fmt.Sprintf("0000000%d-0000-4000-8000-000000000000", s.id%2)))
		case "extend":
			answer, err = e.Extend(ctx, id, by(s.d))
		case "get":
			answer, err = e.Get(id)
		case "stop":
			k.called(id)
			answer, err = e.Stop(ctx, id)
			k.answered(life, id, store.Record)
			if err == nil && answer.Status != lifecycle.StatusStopped && answer.Status != lifecycle.StatusEnded && answer.Status != lifecycle.StatusUnknown {
				k.breaks("%s was stopped, and is %s", k.name(id), answer.Status)
			}
		case "delete":
			k.called(id)
			err = e.Delete(ctx, id)
			k.answered(life, id, store.Record)
		}
		if err != nil {
			k.refused(err)
			k.tell("  %s %d: %.150v", s.do, s.id, err)
			return
		}
		k.acknowledged(life, answer, s.do == "ensure")
		if s.do == "ensure" || s.do == "mint" {
			k.mu.Lock()
			k.minted = answer.ID
			k.mu.Unlock()
		}
		k.tell("  %s %d: %s with %s is %s until %v", s.do, s.id, k.name(answer.ID), answer.SandboxID, answer.Status, k.at(answer.ExpiresAt))
	})
	if s.wait {
		select {
		case <-over:
		case <-dead:
		}
	}
}

// nearDeadline passes time until so long before the next deadline, which may then be
// extended.
func (k *sim) nearDeadline(s step) {
	var next time.Time
	var id string
	before := s.d
	for _, s := range k.all() {
		if s.Status != lifecycle.StatusEnded && time.Until(s.ExpiresAt) > before && (next.IsZero() || s.ExpiresAt.Before(next)) {
			next, id = s.ExpiresAt, s.ID
		}
	}
	if !next.IsZero() {
		k.pass(time.Until(next) - before)
		if s.short {
			k.verb(step{do: "extend", of: id, d: time.Minute, patience: time.Minute})
		}
	}
}

// orphan puts a sandbox of ours that has no session. It goes after two lists, an interval
// apart, and not before it is older than create_timeout.
func (k *sim) orphan(old bool) {
	now := time.Now()
	k.strays++
	box := provider.Sandbox{Owner: owner, CreatedAt: now, SessionID: fmt.Sprintf("99999999-0000-4000-8000-%012d", k.strays)}
	earliest := now.Add(k.limits.CreateTimeout)
	if old {
		box.CreatedAt = k.store.Birth()
		earliest = later2(now.Add(k.limits.SweepInterval), box.CreatedAt.Add(k.limits.CreateTimeout))
	}
	id := k.mem.Put(box)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.orphaned[id] = &stray{earliest: earliest}
}

func simRequest(s step, id, chat string) lifecycle.CreateRequest {
	r := request(id)
	r.ChatID = chat
	if s.short {
		r.Template = "short"
	}
	return r
}

// disturb does something to one of our sandboxes from outside.
func (k *sim) disturb(s step) {
	var ours []provider.Sandbox
	for _, box := range k.mem.Sandboxes() {
		if box.Owner == owner && box.Unreadable == "" {
			ours = append(ours, box)
		}
	}
	if len(ours) == 0 {
		return
	}
	box := ours[s.n%len(ours)]
	switch s.do {
	case "pause":
		if box.State == provider.StateRunning {
			k.mem.SetState(box.ID, provider.StatePaused)
		}
		return
	case "revive":
		k.mem.SetState(box.ID, provider.StateRunning)
		return
	case "emit":
		kind := []provider.EventKind{provider.EventExited, provider.EventRemoved, provider.EventStarted}[s.n%3]
		k.mem.Emit(provider.Event{SandboxID: box.ID, SessionID: box.SessionID, Kind: kind, At: time.Now()})
		return
	}
	k.mu.Lock()
	k.killed[box.ID] = time.Now()
	k.mu.Unlock()
	switch s.do {
	case "exit", "oom":
		k.mem.Exit(box.ID, 1, s.do == "oom")
	case "vanish":
		k.mem.Vanish(box.ID)
	}
}

// spoil makes something go wrong until heal.
func (k *sim) spoil(s step) {
	switch s.do {
	case "fault":
		f := mem.Fault{Times: s.n, After: s.after, Delay: s.d}
		switch s.kind {
		case "away":
			f.Err = errAway
		case "internal":
			f.Err = errors.New("internal")
		case "late":
			f.Deaf = s.verb != mem.Events
		case "hang":
			f.Hang = true
		}
		k.mem.Fail(s.verb, f)
	case "list":
		k.mem.Fail(mem.List, simList(s))
	case "lie":
		k.mem.Fail(s.verb, simLie(s))
	case "away":
		k.sup.away()
	case "die":
		k.sup.stop(errors.New("died"))
	case "swap":
		k.swap(s.kind)
	case "probe":
		k.prober.set(s.d, false)
	case "store fails":
		k.store.Fail(leaseFaultOf(s))
	case "store hangs": // for longer than anybody waits for a write, which lands, or does not
		k.store.Fail(leaseFaultOf(s))
		k.store.Delay(time.Hour)
	case "store slow":
		k.store.Delay(s.d)
	}
}

// swap puts an empty backend of another identity in the place of ours.
func (k *sim) swap(how string) {
	lives := k.sup.lives()
	k.sup.swap(k.other)
	switch {
	case how == "noticed" && lives:
		k.sup.degrade(errors.New("backend changed"), true)
	case how == "a new generation" && len(k.engine.Identities("mem")) > 0:
		k.sup.stop(errors.New("died"))
		_ = k.sup.start()
	}
}

// simList is a fault of lists.
func simList(s step) mem.Fault {
	f := mem.Fault{Times: s.n}
	switch s.kind {
	case "cut off":
		f.Cut = 2 + s.n // behind those that are not ours
	case "slow":
		f.After, f.Delay = true, 15*time.Second
	case "failing":
		f.Err = errAway
	case "hanging":
		f.Hang = true
	case "of exited ones":
		f.Lie = func(sb *provider.Sandbox) { sb.State = provider.StateExited }
	case "duplicate":
		f.Lie = func(sb *provider.Sandbox) { sb.ID = "one" }
	case "of other ids":
		f.Lie = func(sb *provider.Sandbox) { sb.ID = "other-" + sb.ID }
	case "of another owner":
		f.Lie = func(sb *provider.Sandbox) { sb.Owner = "other" }
	case "of other sessions":
		f.Lie = func(sb *provider.Sandbox) { sb.SessionID = id3 }
	}
	return f
}

// simLie is an answer that the engine can tell from a true one.
func simLie(s step) mem.Fault {
	f := mem.Fault{Times: s.n}
	switch s.kind {
	case "id":
		f.Lie = func(sb *provider.Sandbox) { sb.ID = "" }
	case "owner":
		f.Lie = func(sb *provider.Sandbox) { sb.Owner = "other" }
	case "session":
		f.Lie = func(sb *provider.Sandbox) { sb.SessionID = id3 }
	case "outcome":
		f.Outcome = "whatever"
	}
	return f
}

func leaseFaultOf(s step) leasetest.Fault { return leasetest.Fault{Times: s.n, Lands: s.after} }
