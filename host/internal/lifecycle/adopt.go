package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// Unowned is the name by which an operator means sandboxes that bear no owner.
const Unowned = "unowned"

// adoptable reports whether a sandbox without a session is to be taken over: it is ours
// and older than the store, so its lease was lost with an earlier one; or the operator has
// named its owner. An engine that only reaps has no second list to tell an orphan by.
func (e *Engine) adoptable(b *backend, sb provider.Sandbox) bool {
	if sb.Owner == e.owner {
		return e.reaper || sb.CreatedAt.Before(e.store.Birth())
	}
	name := sb.Owner
	if name == "" {
		name = Unowned
	}
	return slices.Contains(e.policy.Load().adopt[b.name], name)
}

// BeingMade reports whether a sandbox of another owner may be one that its host is making at
// this moment: it was created and has not been started. It is no sandbox that has ended; a later
// list tells what becomes of it.
func BeingMade(sb provider.Sandbox, owner string, now time.Time, createTimeout time.Duration) bool {
	return sb.Owner != owner && sb.State == provider.StateCreated && now.Sub(sb.CreatedAt) <= createTimeout
}

// adoptAll takes over the sandboxes that judgeOthers has found to be adoptable. Which
// backend they are on is asked once; without an answer, or when it is another than that of
// the living sessions, the next sweep tries again.
func (e *Engine) adoptAll(ctx context.Context, b *backend, p provider.Provider, found []provider.Sandbox) {
	if len(found) == 0 {
		return
	}
	identity, err := p.Identity(ctx)
	if err != nil || identity == "" {
		e.log.Warn("sandboxes can't be adopted yet: their backend does not say who it is", "provider", b.name, "sandboxes", len(found), "err", err)
		return
	}
	for _, other := range e.Identities(b.name) {
		if other != identity {
			e.log.Warn("sandboxes are not adopted: the backend that has them is not that of the sessions", "provider", b.name,
				"sandboxes", len(found), "backend", identity, "sessions_on", other)
			return
		}
	}
	for _, sb := range found {
		e.adopt(b, sb, identity)
	}
}

// AdoptedUntil is the deadline that a sandbox gets which is adopted now: the one that it
// bears. One of ours whose lease was lost may have been extended, so it gets recovery_grace
// at least; so does another's that has expired.
func AdoptedUntil(sb provider.Sandbox, owner string, now time.Time, recoveryGrace time.Duration) time.Time {
	deadline, grace := sb.ExpiresAt, now.Add(recoveryGrace)
	if deadline.Before(now) || sb.Owner == owner && deadline.Before(grace) {
		deadline = grace
	}
	return deadline.UTC().Truncate(time.Microsecond)
}

// AdoptedState is the state of the session that is made of a sandbox, by a host with that
// owner. Whether one of its own that has exited ended by itself, or was stopped, to be read
// until its deadline, was in the lost lease. A lost store deletes nothing.
func AdoptedState(sb provider.Sandbox, owner string) lease.State {
	if sb.Owner == owner && sb.State == provider.StateExited {
		return lease.Stopped
	}
	return lease.Running
}

// adopt makes a session of a sandbox.
func (e *Engine) adopt(b *backend, sb provider.Sandbox, identity string) {
	id, err := canonicalID(sb.SessionID)
	if err != nil {
		return // its labels can't be read, and the provider has said so
	}
	deadline := AdoptedUntil(sb, e.owner, time.Now(), e.limits().RecoveryGrace)
	rec := lease.Record{
		SessionID: id, ChatID: sb.ChatID, AgentID: sb.AgentID, Template: sb.Template, Provider: b.name,
		RequestHash: sb.RequestHash, Volume: sb.VolumeHostPath, VolumeHostPath: sb.VolumeHostPath,
		CreatedAt: sb.CreatedAt.UTC().Truncate(time.Microsecond), ExpiresAt: deadline, FirstExpiresAt: sb.ExpiresAt,
		SandboxName: sb.Name, SandboxID: sb.ID, Identity: identity, State: AdoptedState(sb, e.owner),
		Adopted: sb.Owner != e.owner, SandboxOwner: sb.Owner,
	}
	if rec.State == lease.Running && sb.Endpoint != nil {
		rec.Endpoint = &lease.Endpoint{IP: sb.Endpoint.IP, Port: sb.Endpoint.Port}
	}
	s := newSession(rec)
	s.closePlanned()
	s.deadline = e.clock.at(rec.ExpiresAt)
	s.suspect = !e.reaper && rec.State == lease.Running && (sb.State == provider.StateExited || sb.State == provider.StateCreated)
	s.write <- struct{}{} // ours until the record is on disk

	e.mu.Lock()
	known, there := e.sessions[id]
	if e.closed || there {
		e.mu.Unlock()
		b.mu.Lock()
		tell := there && b.first(sb.ID)
		b.mu.Unlock()
		if tell {
			e.log.Warn("a sandbox is not adopted: it bears the id of a session that is known here", "provider", b.name,
				"sandbox_id", sb.ID, "session_id", id, "state", known.record().State)
		}
		return
	}
	e.sessions[id] = s
	e.counts.add(rec)
	e.mu.Unlock()

	err = crash.Point("host.adopt.writing")
	if err == nil {
		err = e.put(context.WithoutCancel(e.base), rec)
	}
	if err == nil {
		err = crash.Point("host.adopt.written")
	}
	if err != nil {
		e.log.Error("the lease of an adopted sandbox could not be written; it is tried again", "session_id", id, "err", err)
	}
	e.show(s, rec, err != nil, nil)
	release(s.write)
	e.observer.Orphan(b.name, "adopted")
	e.log.Info("a sandbox was adopted", "provider", b.name, "sandbox_id", sb.ID, "session_id", id, "chat_id", rec.ChatID,
		"owner", sb.Owner, "expires_at", rec.ExpiresAt)
	e.reschedule(s)
	if s.suspect {
		e.attend(s)
	}
}
