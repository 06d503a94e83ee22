package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// errNotLive says that the chat's session has ended meanwhile, or is about to.
var errNotLive = errors.New("the chat's session is no longer live")

// Ensure answers with the chat's newest creating or running session, once its provider
// has confirmed that it runs, and with its deadline pushed to at least now + TTL, as far
// as max_lifetime allows; or makes a new one. Concurrent callers get the same.
//
// A session whose sandbox turns out to be gone is torn down, and a new one is made. While
// the provider is away the answer is CodeUnavailable, never a second sandbox.
//
// Errors: those of Create; CodeConflict, with the session, also when the one that is
// there has another template, agent or volume.
func (e *Engine) Ensure(ctx context.Context, r CreateRequest) (Session, error) {
	req, bad := normalize("ensure", r, e.limits().MaxTTL)
	if bad != nil {
		return Session{}, bad
	}
	req.oneOfChat = true
	minted := req.SessionID == ""
	if minted {
		req.SessionID = uuid.NewString()
	}
	var gone *session // found dead here, and counted in the limits until it has ended
	for {
		var c *creation
		s := e.liveOf(req.ChatID)
		if s == nil {
			var err error
			s, c, err = e.admit(ctx, req, minted)
			if gone != nil && errors.Is(err, CodeResourceExhausted) && e.madeRoom(ctx, gone, req) {
				gone = nil
				continue
			}
			if err != nil {
				return Session{}, err
			}
		}
		if c != nil {
			return e.join(ctx, s, c)
		}
		v, err := e.takeUp(ctx, s, req)
		if !errors.Is(err, errNotLive) {
			return v, err
		}
		if err := e.awaitNotLive(ctx, s, req); err != nil {
			return Session{}, err
		}
		if s.record().State == lease.Deleting {
			gone = s
		}
	}
}

// madeRoom waits until a session that is being torn down has ended; not for ever, and
// false when that was in vain.
func (e *Engine) madeRoom(ctx context.Context, gone *session, req wanted) bool {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	return e.awaitOut(ctx, gone, req) == nil
}

// liveOf finds the chat's newest session that is creating or running, and has not passed
// its deadline.
func (e *Engine) liveOf(chatID string) *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.liveOfLocked(chatID)
}

// liveOfLocked is liveOf for a caller who holds e.mu. One that is due, and whose record is
// being written, counts too: it may be an extension, and whoever takes it up waits for that.
func (e *Engine) liveOfLocked(chatID string) *session {
	now := e.clock.now()
	var newest *session
	var at place
	for _, s := range e.sessions {
		s.mu.Lock()
		rec := s.rec
		live := rec.ChatID == chatID && (rec.State == lease.Creating || rec.State == lease.Running) &&
			(!s.dueAt(now) || len(s.write) > 0) && (s.create == nil || !s.create.abandoned)
		s.mu.Unlock()
		if !live {
			continue
		}
		p := placeOf(rec)
		if rec.CreatedAt.IsZero() { // its image is being prepared: it is the newest
			p.at = now.AddDate(1, 0, 0)
		}
		if newest == nil || p.compare(at) > 0 {
			newest, at = s, p
		}
	}
	return newest
}

// takeUp joins or confirms a session that is there, and pushes its deadline. errNotLive:
// it isn't any more.
func (e *Engine) takeUp(ctx context.Context, s *session, req wanted) (Session, error) {
	rec, stands := s.stands()
	if !stands {
		return Session{}, errNotLive
	}
	if field := differs(rec, req); field != "" {
		bad := req.fail(CodeConflict, fmt.Sprintf("session %s of this chat has another %s; stop or delete it first, or ask for what it has", s.id, field), nil)
		v := e.view(rec)
		bad.SessionID, bad.Session = s.id, &v
		return Session{}, bad
	}
	s.mu.Lock()
	c := s.create
	if c != nil && c.abandoned {
		s.mu.Unlock()
		return Session{}, errNotLive
	}
	if c != nil {
		c.waiters++
	}
	s.mu.Unlock()
	if c != nil {
		if c.recovered {
			if err := e.mustBeReady("ensure", rec); err != nil {
				return Session{}, req.failAs(s, err)
			}
		}
		if _, err := e.join(ctx, s, c); err != nil {
			return Session{}, err
		}
	} else if err := e.confirm(ctx, s, time.Now()); err != nil {
		return Session{}, req.failAs(s, err)
	}
	if err := crash.Point("host.ensure.confirmed"); err != nil {
		return Session{}, req.failAs(s, err)
	}
	if err := e.push(ctx, s, req); err != nil {
		return Session{}, req.failAs(s, err)
	}
	if err := crash.Point("host.ensure.acknowledging"); err != nil {
		return Session{}, req.failAs(s, err)
	}
	return e.view(s.record()), nil
}

// differs names what a request wants otherwise than a session has it.
func differs(rec lease.Record, req wanted) string {
	switch {
	case rec.Template != req.Template:
		return fmt.Sprintf("template: %q", rec.Template)
	case rec.AgentID != req.AgentID:
		return fmt.Sprintf("agent_id: %q", rec.AgentID)
	case rec.Volume != req.Volume:
		return fmt.Sprintf("volume: %q", rec.Volume)
	}
	return ""
}

// failAs is an error of taking up a session; errNotLive stays as it is.
func (w wanted) failAs(s *session, err error) error {
	var known *Error
	switch {
	case errors.Is(err, errNotLive):
		return err
	case errors.As(err, &known):
		bad := *known
		bad.Op, bad.SessionID, bad.ChatID = w.op, s.id, w.ChatID
		return &bad
	}
	bad := w.fail(codeFor(err, CodeInternal), "session "+s.id+" of this chat could not be confirmed", err)
	bad.SessionID = s.id
	return bad
}

// confirm asks the provider whether a session's sandbox runs, unless somebody else has
// asked since. Where it does not, the session is torn down and the answer is errNotLive.
func (e *Engine) confirm(ctx context.Context, s *session, since time.Time) error {
	if err := take(ctx, s.token); err != nil {
		return &provider.Error{Class: provider.Canceled, Message: "another operation on it is under way", Err: err}
	}
	defer release(s.token)
	rec := s.record()
	if rec.State == lease.Running && s.due(e.clock.now()) {
		if err := take(ctx, s.write); err != nil { // an extension may be on its way to the disk
			return &provider.Error{Class: provider.Canceled, Message: "a write of it is under way", Err: err}
		}
		release(s.write)
		rec = s.record()
	}
	if rec.State != lease.Running || s.due(e.clock.now()) {
		return errNotLive
	}
	s.mu.Lock()
	confirmed := s.confirmed
	s.mu.Unlock()
	if confirmed.After(since) {
		return nil
	}
	if err := e.mustBeReady("ensure", rec); err != nil {
		return err
	}
	// A delete interrupts the question, and the reaper need not wait for its answer.
	ask, cancel := context.WithTimeoutCause(ctx, s.dueTime().Sub(e.clock.now()), errDeadline)
	defer cancel()
	ask, end := s.interruptible(ask)
	defer end()
	asked := time.Now()
	reason, state, err := e.findOut(ask, s)
	switch {
	case err != nil && (s.record().State != lease.Running || s.due(e.clock.now())):
		return errNotLive
	case err != nil:
		return err
	case reason == "" && state != provider.StateRunning:
		return &Error{Code: CodeUnavailable, Message: fmt.Sprintf("its sandbox is %s; something outside has done that and can undo it, or delete the session", state)}
	case reason == "":
		s.mu.Lock()
		s.confirmed = asked
		s.mu.Unlock()
		return nil
	}
	if err := e.amendAnyway(s, intend(reason)); err != nil {
		return err
	}
	e.attend(s)
	return errNotLive
}

// mustBeReady is an error while a session's provider is not READY.
func (e *Engine) mustBeReady(op string, rec lease.Record) error {
	b := e.backendOf(rec)
	if b != nil && b.Status().State != Ready {
		return b.notReady(op)
	}
	return e.reachable(b, rec, op)
}

// push moves the deadline to now + TTL, as far as max_lifetime allows; never back.
func (e *Engine) push(ctx context.Context, s *session, req wanted) error {
	ttl := req.TTL
	if ttl == 0 {
		if t := e.template(req.Template); t != nil { // else it keeps the deadline that it has
			ttl = t.TTL()
		}
	}
	var deadline time.Time
	later := errors.New("it ends later anyway")
	err := e.change(ctx, s, true, func(r *lease.Record) error {
		now := e.clock.now()
		if r.State != lease.Creating && r.State != lease.Running || s.due(now) {
			return errNotLive
		}
		by := min(now.Add(ttl).Sub(s.dueTime()), r.CreatedAt.Add(e.limits().MaxLifetime).Sub(r.ExpiresAt)).Truncate(time.Microsecond)
		if by <= 0 {
			return later
		}
		r.ExpiresAt, deadline = r.ExpiresAt.Add(by), s.dueTime().Add(by)
		return nil
	}, func() { s.deadline = deadline })
	switch {
	case errors.Is(err, later):
		return nil
	case errors.Is(err, errNotLive):
		return err
	case err != nil:
		return e.fail("ensure", s, CodeUnavailable, "the new deadline could not be written", err)
	}
	e.reschedule(s)
	return nil
}

// awaitNotLive returns when a session that is on its way out would no longer be found:
// at once, unless it is the one whose id the request bears. An id whose session has had
// its time is not free again: CodeConflict.
func (e *Engine) awaitNotLive(ctx context.Context, s *session, req wanted) error {
	if s.id != req.SessionID {
		return nil
	}
	why := ""
	rec := s.record()
	switch {
	case rec.State == lease.Stopping, rec.State == lease.Stopped:
		why = "is " + string(rec.State)
	case rec.State == lease.Running && s.due(e.clock.now()):
		why = "has passed its deadline"
	default:
		return e.awaitOut(ctx, s, req)
	}
	bad := req.fail(CodeConflict, fmt.Sprintf("session %s %s; leave session_id out, or give another", s.id, why), nil)
	v := e.view(rec)
	bad.Session = &v
	return bad
}
