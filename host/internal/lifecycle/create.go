package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
)

// creation is a create in flight. The session's lock guards what changes in it.
type creation struct {
	minted    bool // nobody but the caller knows the session's id
	recovered bool // of an earlier life; there is no goroutine behind it
	waiters   int
	queued    bool // waits for one of the provider's creating slots
	kept      bool // it came out well, and somebody was there to hear it
	abandoned bool // nobody waits for it any more, and it is being torn down
	cancel    context.CancelCauseFunc

	done chan struct{} // closed when it is over
	err  error         // read after done
}

func newCreation(minted bool) *creation {
	return &creation{minted: minted, queued: true, done: make(chan struct{})}
}

func (s *session) interruptCreate(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.create != nil && s.create.cancel != nil {
		s.create.cancel(cause)
	}
}

// Create makes a session and returns when its agent answers. It is idempotent on the
// session id: the same request again gets the same session, and joins a create that is
// still under way. When ctx ends first the create goes on and can be joined, unless the
// id was minted here: then it is torn down.
//
// Errors: CodeInvalidArgument, CodeNotFound (template), CodeConflict, CodeUnavailable,
// CodeResourceExhausted, CodeSandboxStartFailed; after each of them nothing is left.
func (e *Engine) Create(ctx context.Context, r CreateRequest) (Session, error) {
	req, bad := normalize("create", r, e.limits().MaxTTL)
	if bad != nil {
		return Session{}, bad
	}
	minted := req.SessionID == ""
	if minted {
		req.SessionID = uuid.NewString()
	}
	for {
		s, c, err := e.admit(ctx, req, minted)
		if err != nil {
			return Session{}, err
		}
		if c != nil && c.recovered { // by an engine that can do so only when the provider is back
			if err := e.mustBeReady(req.op, s.record()); err != nil {
				return Session{}, req.failAs(s, err)
			}
		}
		if c != nil {
			return e.join(ctx, s, c)
		}
		if rec, stands := s.stands(); stands {
			return e.view(rec), nil
		}
		// An earlier try failed and is being cleaned up: this one comes after it.
		if err := e.awaitOut(ctx, s, req); err != nil {
			return Session{}, err
		}
	}
}

// unminted takes the id of a session that was never made out of an error.
func unminted(err error) error {
	var bad *Error
	if errors.As(err, &bad) {
		bad.SessionID = ""
	}
	return err
}

// awaitOut waits until an earlier session has ended. While its provider is away that may
// take long: then it is an error at once.
func (e *Engine) awaitOut(ctx context.Context, s *session, req wanted) error {
	select {
	case <-s.ended:
		return nil
	default:
	}
	if err := e.mustBeReady(req.op, s.record()); err != nil {
		return req.failAs(s, err)
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return req.fail(CodeUnavailable, "an earlier try of this session is still being cleaned up", context.Cause(ctx))
	case <-e.base.Done():
		return req.fail(CodeUnavailable, "", errStopping)
	}
}

// stands returns the record, and reports whether it is that of a session which is neither
// ending, nor ended, nor about to be torn down because all have left who waited for it.
func (s *session) stands() (lease.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec, s.rec.State != lease.Deleting && s.rec.State != lease.Ended && (s.create == nil || !s.create.abandoned)
}

// admit finds the session of an earlier call, with the create to join where one is in
// flight, or begins a new one.
func (e *Engine) admit(ctx context.Context, req wanted, minted bool) (*session, *creation, error) {
	for {
		s, c, err := e.admitOnce(ctx, req, minted)
		if !errors.Is(err, errPolicyChanged) {
			if minted && s == nil {
				err = unminted(err)
			}
			return s, c, err
		}
	}
}

var errPolicyChanged = errors.New("the templates have changed")

func (e *Engine) admitOnce(ctx context.Context, req wanted, minted bool) (*session, *creation, error) {
	hash := req.hash()
	e.mu.Lock()
	s, c, err := e.known(req, hash)
	e.mu.Unlock()
	if s != nil || err != nil {
		return s, c, err
	}

	policy := e.policy.Load()
	t := policy.templates[req.Template]
	if t == nil {
		return nil, nil, req.fail(CodeNotFound, fmt.Sprintf("template %q is not in the configuration", clip(req.Template, 64)), nil)
	}
	ttl := req.TTL
	if ttl == 0 {
		ttl = t.TTL()
	}
	volume := ""
	if req.Volume != "" {
		resolved, err := t.CheckVolume(req.Volume)
		if err != nil {
			return nil, nil, req.fail(codeFor(err, CodeInvalidArgument), "", err)
		}
		volume = resolved
	}
	b := e.backend(t.Provider())
	if b == nil || b.Status().State != Ready {
		if b == nil {
			return nil, nil, req.fail(CodeUnavailable, fmt.Sprintf("provider %q is not configured", t.Provider()), nil)
		}
		bad := b.notReady(req.op)
		bad.ChatID, bad.SessionID = req.ChatID, req.SessionID
		return nil, nil, bad
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	if s, c, err := e.known(req, hash); s != nil || err != nil {
		return s, c, err
	}
	if req.oneOfChat {
		if s := e.liveOfLocked(req.ChatID); s != nil {
			return s, nil, nil // another caller was quicker
		}
	}
	if e.closed {
		return nil, nil, req.fail(CodeUnavailable, "", errStopping)
	}
	if e.policy.Load() != policy { // SetPolicy came between: whoever counts sessions after it counts this one
		return nil, nil, errPolicyChanged
	}
	rec := lease.Record{
		SessionID: req.SessionID, ChatID: req.ChatID, AgentID: req.AgentID,
		Template: req.Template, Provider: t.Provider(), RequestHash: hash, TTL: req.TTL,
		Volume: req.Volume, VolumeHostPath: volume, Metadata: req.Metadata,
		SandboxName: sandboxName(e.owner, req.SessionID), Ready: t.Ready(), State: lease.Creating,
	}
	if full := e.counts.room(rec, e.limits().MaxSessions, t.Limits()); full != "" {
		return nil, nil, req.fail(CodeResourceExhausted, full, nil)
	}
	before := e.sessions[req.SessionID]
	s = newSession(rec)
	if before != nil {
		s.write = before.write // it has failed; nothing writes under its id beside this one
	}
	s.token <- struct{}{} // the create's, until it is over
	c = newCreation(minted)
	c.waiters = 1
	life, cancel := e.detach(ctx)
	c.cancel = cancel
	s.create = c
	e.sessions[s.id] = s
	e.counts.add(rec)
	e.work.Go(func() { e.runCreate(life, s, t, b, ttl) })
	return s, c, nil
}

// known looks for a session of the same id. e.mu is held.
func (e *Engine) known(req wanted, hash string) (*session, *creation, error) {
	s, ok := e.sessions[req.SessionID]
	if !ok {
		return nil, nil, nil
	}
	s.mu.Lock()
	rec, c := s.rec, s.create
	if rec.RequestHash == hash && c != nil && c.abandoned {
		s.mu.Unlock()
		return s, nil, nil
	}
	if rec.RequestHash == hash && c != nil && (rec.State == lease.Creating || rec.State == lease.Running) {
		c.waiters++
		s.mu.Unlock()
		return s, c, nil
	}
	s.mu.Unlock()
	conflict := func(message string) error {
		bad := req.fail(CodeConflict, message, nil)
		v := e.view(rec)
		bad.Session = &v
		return bad
	}
	switch {
	case rec.RequestHash != hash:
		return nil, nil, conflict("session " + s.id + " was made by another request; use an id of its own for each")
	case rec.State == lease.Ended && rec.Ended.Reason == lease.Failed:
		return nil, nil, nil
	case rec.State == lease.Ended:
		return nil, nil, conflict(fmt.Sprintf("session %s has ended: %s", s.id, rec.Ended.Reason))
	case rec.State == lease.Deleting && rec.Reason != lease.Failed:
		return nil, nil, conflict(fmt.Sprintf("session %s is being torn down: %s", s.id, rec.Reason))
	}
	return s, nil, nil
}

// join waits for a create on behalf of one caller.
func (e *Engine) join(ctx context.Context, s *session, c *creation) (Session, error) {
	fail := func(code Code, message string, cause error) error {
		return e.fail("create", s, code, message, cause)
	}
	select {
	case <-c.done:
		return e.came(s, c)
	case <-e.base.Done():
		return Session{}, fail(CodeUnavailable, "", errStopping)
	case <-ctx.Done():
	}
	s.mu.Lock()
	kept, queued, minted := c.kept, c.queued && !c.recovered, c.minted
	if !kept {
		c.waiters--
	}
	abandoned := !kept && c.waiters == 0 && !c.recovered && (queued || minted)
	c.abandoned = c.abandoned || abandoned
	s.mu.Unlock()
	if abandoned {
		s.interruptCreate(errLeft)
	}
	switch {
	case kept: // and will be done in a moment
		<-c.done
		return e.came(s, c)
	case queued:
		return Session{}, fail(CodeResourceExhausted,
			fmt.Sprintf("max_creating is %d, and so many sandboxes are being created", e.limits().MaxCreating), context.Cause(ctx))
	case minted:
		return Session{}, fail(CodeUnavailable, "the caller left before the sandbox was ready; it is torn down", context.Cause(ctx))
	default:
		return Session{}, fail(CodeUnavailable, "the caller left before the sandbox was ready; the same session id joins it", context.Cause(ctx))
	}
}

// came is what a create that is done came to.
func (e *Engine) came(s *session, c *creation) (Session, error) {
	if c.err != nil {
		return Session{}, c.err
	}
	if err := crash.Point("host.create.acknowledging"); err != nil {
		return Session{}, e.fail("create", s, CodeUnavailable, "", err)
	}
	return e.view(s.record()), nil
}

// detach makes a context for the engine's own work: it carries ctx's values (a trace)
// and ends with the engine or with the returned function, not with the caller.
func (e *Engine) detach(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	forget := context.AfterFunc(e.base, func() { cancel(errStopping) })
	return ctx, func(cause error) { forget(); cancel(cause) }
}

func sandboxName(owner, sessionID string) string {
	return "berth-" + owner[:min(12, len(owner))] + "-" + sessionID
}

// runCreate carries a create through and tells everybody who waits for it. It was
// started with the session's token.
func (e *Engine) runCreate(life context.Context, s *session, t Template, b *backend, ttl time.Duration) {
	e.hub.publish(EventChanged, func() Session { return e.view(s.record()) }, nil)
	err := e.carryOut(life, s, t, b, ttl)
	if err == nil && !s.keep() {
		err = errLeft
	}
	if err != nil {
		err = e.failCreate(life, s, b, err)
	}
	s.closePlanned()
	s.mu.Lock()
	c := s.create
	s.create = nil
	suspect := s.suspect
	s.mu.Unlock()
	c.err = err
	release(s.token)
	close(c.done)
	c.cancel(nil)
	e.reschedule(s)
	if suspect {
		e.attend(s)
	}
}

// keep is the last word on a create that came out well: false when all have left who
// waited for it, so that whoever comes now waits for its end.
func (s *session) keep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.create.kept = !s.create.abandoned
	return s.create.kept
}
