package lifecycle

import (
	"context"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// end writes the terminal record, tells the watchers, and shows the session as ended.
// The token is held, and the record says why.
func (e *Engine) end(s *session, exit *provider.Exit) {
	s.write <- struct{}{}
	defer release(s.write)
	rec := s.record()
	end := &lease.End{Reason: rec.Reason, At: time.Now().UTC().Truncate(time.Microsecond), Message: rec.Cause}
	if exit != nil {
		code := exit.Code
		end.ExitCode, end.OOMKilled = &code, exit.OOMKilled
	}
	rec.State, rec.Ended = lease.Ended, end
	err := crash.Point("host.end.writing")
	if err == nil {
		err = e.put(context.WithoutCancel(e.base), rec)
	}
	if err == nil {
		err = crash.Point("host.end.written")
	}
	if err != nil {
		e.log.Error("a terminal record could not be written; it is tried again", "session_id", s.id, "reason", end.Reason, "err", err)
	}
	e.show(s, rec, err != nil, func() { s.forget = e.clock.now().Add(e.limits().EndedRetention) })
	e.reschedule(s)
	e.mu.Lock()
	e.counts.remove(rec)
	e.mu.Unlock()
	s.closePlanned()
	e.observer.Ended(rec.Provider, end.Reason)
	e.log.Info("session ended", "session_id", s.id, "chat_id", rec.ChatID, "sandbox_id", rec.SandboxID, "reason", end.Reason)
	if s.interrupted() {
		e.recovered(s, e.fail("create", s, CodeConflict, "session "+s.id+" has ended: "+string(end.Reason), nil))
	}
	close(s.ended)
}

// prune forgets a terminal record whose time has come. A session of the same id that was
// made after a failed try shares the write lock, so its lease is not what is deleted.
func (e *Engine) prune(s *session) {
	s.mu.Lock()
	early := e.clock.now().Before(s.forget)
	s.mu.Unlock()
	if early {
		e.reschedule(s)
		return
	}
	if take(e.base, s.write) != nil {
		return
	}
	defer release(s.write)
	if !e.current(s) {
		return
	}
	err := e.write(e.base, s.id, func(ctx context.Context) error { return e.store.Delete(ctx, s.id) })
	if err == nil {
		err = crash.Point("host.prune.forgotten")
	}
	if err != nil {
		e.schedule.set(s, e.clock.now().Add(retryAfter(6)))
		return
	}
	e.hub.forget(func() (Session, bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.sessions[s.id] != s {
			return Session{}, false
		}
		delete(e.sessions, s.id)
		return e.view(s.record()), true
	})
}

// current reports whether the session is the one that its id stands for.
func (e *Engine) current(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[s.id] == s
}
