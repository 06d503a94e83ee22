package lifecycle

import (
	"context"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// SandboxEvent is told of an event of the provider. It is a hint: the sandbox is asked
// about, unless the engine itself is ending it. Progress with an image is passed on to the
// watchers.
func (e *Engine) SandboxEvent(providerName string, ev provider.Event) {
	if ev.Kind == provider.EventProgress {
		e.hub.progress(api.Progress{Provider: providerName, Image: ev.Image, Message: ev.Message})
		return
	}
	if e.reaper {
		return
	}
	for _, s := range e.eventTargets(ev) {
		s.mu.Lock()
		state := s.rec.State
		about := s.rec.Provider == providerName &&
			(s.rec.SandboxID == ev.SandboxID || s.rec.SandboxID == "" && ev.SessionID == s.id) &&
			(state == lease.Creating || state == lease.Running || state == lease.Stopped) &&
			(ev.Kind != provider.EventStarted || state == lease.Stopped)
		s.suspect = s.suspect || about
		creating, inFlight := s.create != nil, s.inFlight()
		s.mu.Unlock()
		if about && creating {
			poke(s.hint)
		}
		if about && !inFlight { // a create attends when it is over
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
	if b := e.backend(providerName); b != nil {
		poke(b.kick)
	}
}

// investigate asks about a session whose sandbox is said to be other than it should be.
// The token is held.
func (e *Engine) investigate(ctx context.Context, s *session) error {
	s.suspects(false) // what is heard from now on is newer than the answer
	reason, _, err := e.findOut(ctx, s)
	if err != nil {
		s.suspects(true)
		return err
	}
	if reason == "" {
		return nil
	}
	if err := crash.Point("host.death.noticed"); err != nil {
		return err
	}
	if err := e.amendAnyway(s, intend(reason)); err != nil {
		return err
	}
	return e.teardown(ctx, s)
}

// findOut asks the provider why a session should end, "" for no reason, and how its sandbox
// is.
func (e *Engine) findOut(ctx context.Context, s *session) (lease.Reason, provider.State, error) {
	rec := s.record()
	b := e.backendOf(rec)
	if err := e.reachable(b, rec, "get"); err != nil {
		return "", "", err
	}
	get, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	sb, err := b.Get(get, provider.Ref{ID: rec.SandboxID})
	switch {
	case isNotFound(err):
		return lease.Removed, sb.State, e.absent(get, b, rec, provider.Ref{ID: rec.SandboxID})
	case err != nil:
		return "", sb.State, err
	case sb.ID != rec.SandboxID:
		return "", sb.State, e.refusedSandbox(rec, sb)
	case e.estranged(rec, sb) != "":
		return "", sb.State, e.refuse(rec.Provider, "get", rec.SessionID, "%s", e.estranged(rec, sb))
	case rec.State == lease.Running && (sb.State == provider.StateExited || sb.State == provider.StateCreated):
		s.mu.Lock()
		s.exit = sb.Exit
		s.mu.Unlock()
		if sb.Exit != nil && sb.Exit.OOMKilled {
			return lease.OOMKilled, sb.State, nil
		}
		return lease.Exited, sb.State, nil
	case rec.State == lease.Stopped && sb.State == provider.StateRunning:
		// Somebody started it again behind our back: stopped stays stopped.
		there, err := e.halt(ctx, s, b, rec)
		if err == nil && !there {
			return lease.Removed, sb.State, nil
		}
		return "", sb.State, err
	case rec.State == lease.Running && moved(rec, sb):
		// Something outside has restarted it: its address is the backend's to say.
		return "", sb.State, e.amendVisible(s, func(r *lease.Record) error {
			r.Endpoint = &lease.Endpoint{IP: sb.Endpoint.IP, Port: sb.Endpoint.Port}
			return nil
		})
	}
	return "", sb.State, nil
}

// moved reports whether a sandbox answers at another address than its record says.
func moved(rec lease.Record, sb provider.Sandbox) bool {
	return sb.State == provider.StateRunning && sb.Endpoint != nil && rec.Endpoint != nil &&
		*rec.Endpoint != lease.Endpoint{IP: sb.Endpoint.IP, Port: sb.Endpoint.Port}
}

func (s *session) suspects(suspect bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.suspect = suspect
}

// orphanRecord is what remove needs to know of a sandbox that has no session.
func (e *Engine) orphanRecord(b *backend, sb provider.Sandbox) lease.Record {
	return lease.Record{SessionID: sb.SessionID, ChatID: sb.ChatID, Provider: b.name,
		SandboxID: sb.ID, Identity: b.Status().Identity}
}
