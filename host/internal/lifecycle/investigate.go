package lifecycle

import (
	"context"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// SandboxEvent is told of an event of the provider. It is a hint: the sandbox is asked
// about, unless an operation of the engine's own runs on it.
func (e *Engine) SandboxEvent(providerName string, ev provider.Event) {
	for _, s := range e.eventTargets(ev) {
		s.mu.Lock()
		mine := s.rec.Provider == providerName && (s.rec.SandboxID == ev.SandboxID || s.rec.SandboxID == "") &&
			s.rec.State != lease.Ended
		creating, busy := s.create != nil && !s.create.recovered, len(s.token) > 0
		fine := ev.Kind == provider.EventStarted && s.rec.State != lease.Stopped
		if mine && !creating && !busy && !fine {
			s.suspect = true
		}
		suspect := s.suspect
		s.mu.Unlock()
		switch {
		case mine && creating && !fine:
			poke(s.hint)
		case mine && suspect:
			e.attend(s)
		}
	}
}

func (e *Engine) eventTargets(ev provider.Event) []*session {
	if ev.SessionID == "" {
		return e.all()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s, ok := e.sessions[ev.SessionID]; ok {
		return []*session{s}
	}
	return nil
}

// EventsBroken is told that events may be missing: a sweep looks, at most once a second.
func (e *Engine) EventsBroken(providerName string) {
	if b := e.backends[providerName]; b != nil {
		poke(b.kick)
	}
}

// investigate asks about a session whose sandbox is said to be other than it should be.
// The token is held.
func (e *Engine) investigate(ctx context.Context, s *session) error {
	rec := s.record()
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "get"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, getTimeout+deleteTimeout)
	defer cancel()
	sb, err := b.Get(ctx, provider.Ref{ID: rec.SandboxID})
	reason := lease.Reason("")
	switch {
	case isNotFound(err):
		if err := e.sameBackend(ctx, b, rec); err != nil {
			return err
		}
		reason = lease.Removed
	case err != nil:
		return err
	case sb.ID != rec.SandboxID:
		return &provider.Error{Class: provider.Internal, Op: "get", ID: rec.SandboxID,
			Message: "the provider's answer is refused: it is about sandbox " + sb.ID}
	case rec.State == lease.Running && (sb.State == provider.StateExited || sb.State == provider.StateCreated):
		reason = lease.Exited
		if sb.Exit != nil && sb.Exit.OOMKilled {
			reason = lease.OOMKilled
		}
		s.mu.Lock()
		s.exit = sb.Exit
		s.mu.Unlock()
	case rec.State == lease.Stopped && sb.State == provider.StateRunning:
		// Somebody started it again behind our back: stopped stays stopped.
		if _, err := e.halt(ctx, s, b, rec); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.suspect = false
	s.mu.Unlock()
	if reason == "" {
		return nil
	}
	if err := e.amendVisible(s, intend(reason)); err != nil {
		return err
	}
	return e.teardown(ctx, s)
}

// orphanRecord is what remove needs to know of a sandbox that has no session.
func (e *Engine) orphanRecord(b *backend, sb provider.Sandbox) lease.Record {
	return lease.Record{SessionID: sb.SessionID, ChatID: sb.ChatID, Provider: b.name,
		SandboxID: sb.ID, Identity: b.Status().Identity}
}
