package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
)

var errExtended = errors.New("its deadline was pushed later")

// Extend pushes a session's deadline later. It never shortens: an Until before the
// deadline leaves it as it is. It is legal while the session is creating, running or
// unknown and its deadline has not passed. When it returns nil the new deadline is on
// disk.
//
// Errors: CodeInvalidArgument (over max_ttl or max_lifetime: refused, not clamped),
// CodeNotFound, CodeConflict, CodeUnavailable.
func (e *Engine) Extend(ctx context.Context, id string, req ExtendRequest) (Session, error) {
	const op = "extend"
	s, err := e.lookup(op, id)
	if err != nil {
		return Session{}, err
	}
	if why := e.noExtension(req); why != "" {
		bad := invalid(op, "by", why)
		bad.SessionID, bad.ChatID = s.id, s.record().ChatID
		return Session{}, bad
	}
	select {
	case <-s.planned: // until then there is no deadline to push
	case <-ctx.Done():
		return Session{}, e.fail(op, s, CodeUnavailable, "its image is still being prepared", context.Cause(ctx))
	case <-e.base.Done():
		return Session{}, e.fail(op, s, CodeUnavailable, "", errStopping)
	}

	var deadline time.Time
	err = e.change(ctx, s, true, func(r *lease.Record) (err error) {
		r.ExpiresAt, deadline, err = e.extended(s, *r, req)
		return err
	}, func() { s.deadline = deadline })
	if err != nil {
		var bad *Error
		if errors.As(err, &bad) {
			return Session{}, bad
		}
		return Session{}, e.fail(op, s, CodeUnavailable, "the new deadline could not be written", err)
	}
	e.reschedule(s)
	if err := crash.Point("host.extend.acknowledging"); err != nil {
		return Session{}, e.fail(op, s, CodeUnavailable, "", err)
	}
	return e.view(s.record()), nil
}

// noExtension tells what is wrong with a request whatever the session is; "" when nothing.
func (e *Engine) noExtension(req ExtendRequest) string {
	switch {
	case (req.By != 0) == !req.Until.IsZero():
		return "give either by or until, not both and not none"
	case req.By < 0:
		return fmt.Sprintf("%v is not positive; an extension never shortens", req.By)
	case req.By != 0 && req.By < time.Microsecond:
		return fmt.Sprintf("%v is too short; give at least 1µs", req.By)
	case req.By > e.limits().MaxLifetime:
		return fmt.Sprintf("%v is over max_lifetime %v", req.By, e.limits().MaxLifetime)
	}
	return ""
}

// extended works out the new deadline, by the wall clock and on the engine's clock, and
// checks it. The session's write lock is held.
func (e *Engine) extended(s *session, rec lease.Record, req ExtendRequest) (wall, mono time.Time, err error) {
	now := e.clock.now()
	if err := e.extendable(s, rec, req, now); err != nil {
		return wall, mono, err
	}
	s.mu.Lock()
	mono = s.deadline
	s.mu.Unlock()
	field := "by"
	if req.By != 0 {
		by := req.By.Truncate(time.Microsecond)
		wall = rec.ExpiresAt.Add(by)
		mono = mono.Add(by)
	} else {
		field = "until"
		wall = req.Until.UTC().Truncate(time.Microsecond)
		if !wall.After(rec.ExpiresAt) {
			return rec.ExpiresAt, mono, nil
		}
		if at := e.clock.at(wall); at.After(mono) { // the wall clock may have been set
			mono = at
		}
	}
	over := func(limit string, most time.Duration, latest time.Time) error {
		bad := invalid("extend", field, fmt.Sprintf("%s is over %s %v, which allows %s at most",
			wall.Format(time.RFC3339Nano), limit, most, latest.UTC().Format(time.RFC3339Nano)))
		bad.SessionID, bad.ChatID = s.id, rec.ChatID
		return bad
	}
	switch {
	case mono.Sub(now) > e.limits().MaxTTL:
		return wall, mono, over("max_ttl", e.limits().MaxTTL, time.Now().Add(e.limits().MaxTTL))
	case wall.Sub(rec.CreatedAt) > e.limits().MaxLifetime:
		return wall, mono, over("max_lifetime", e.limits().MaxLifetime, rec.CreatedAt.Add(e.limits().MaxLifetime))
	}
	return wall, mono, nil
}

// extendable is a Conflict, with the session, unless its deadline may be pushed.
func (e *Engine) extendable(s *session, rec lease.Record, req ExtendRequest, now time.Time) error {
	why := ""
	switch {
	case rec.State == lease.Ended:
		why = fmt.Sprintf("session %s has ended: %s", s.id, rec.Ended.Reason)
	case rec.State != lease.Creating && rec.State != lease.Running:
		why = fmt.Sprintf("session %s is %s", s.id, rec.State)
	case s.due(now):
		why = fmt.Sprintf("the deadline of session %s has passed", s.id)
	case !req.Seen.IsZero() && !req.Seen.Equal(rec.ExpiresAt):
		why = fmt.Sprintf("the deadline of session %s is %s, not %s", s.id,
			rec.ExpiresAt.Format(time.RFC3339Nano), req.Seen.Format(time.RFC3339Nano))
	default:
		return nil
	}
	bad := e.fail("extend", s, CodeConflict, why, nil)
	v := e.view(rec)
	bad.Session = &v
	return bad
}
