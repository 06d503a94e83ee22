package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// unknownOutcomeWait bounds how long a create whose outcome is unknown waits for the
// provider to come back, before it is given up and cleaned up behind the caller's back.
const unknownOutcomeWait = 10 * time.Second

// carryOut makes the sandbox: slot, image, deadline, lease, sandbox, readiness, lease.
// The session's token is held. life ends with a cause when somebody wants it to end; the
// call to the provider's Create is not ended by that, so that its outcome is learnt.
func (e *Engine) carryOut(life context.Context, s *session, t Template, b *backend, ttl time.Duration) (err error) {
	if !b.creating.take(life.Done(), nil) {
		return context.Cause(life)
	}
	defer b.creating.release()
	s.mu.Lock()
	s.create.queued = false
	s.mu.Unlock()

	rec := s.record()
	traced, op := e.observer.Operation(life, b.name, "create", OperationIDs{SessionID: s.id, ChatID: rec.ChatID})
	var outcome provider.Outcome
	defer func() { op.Done(string(outcome), err) }()

	late := fmt.Errorf("create_timeout of %v passed", e.limits().CreateTimeout)
	soft, cancel := context.WithTimeoutCause(traced, e.limits().CreateTimeout, late)
	defer cancel()
	kept, cancelKept := e.detach(traced)
	defer cancelKept(nil)
	hard, cancelHard := context.WithTimeoutCause(kept, e.limits().CreateTimeout, late)
	defer cancelHard()

	spec, err := e.plan(soft, op, s, t, b, ttl)
	if err != nil {
		return explain(soft, err)
	}
	if err := crash.Point("host.create.leased"); err != nil {
		return err
	}
	created, err := e.createOnce(hard, soft, op, s, b, spec)
	if err != nil {
		return explain(hard, err)
	}
	outcome = created.Outcome
	if err := e.accept(s, b, created, spec); err != nil {
		return err
	}
	if err := e.awaitReady(soft, s, b); err != nil {
		return explain(soft, err)
	}
	if err := crash.Point("host.create.ready"); err != nil {
		return err
	}
	return explain(soft, e.amend(soft, s, func(r *lease.Record) error {
		if err := e.stillWanted(soft, s, r); err != nil {
			return err
		}
		r.State = lease.Running
		return nil
	}))
}

// plan prepares the image, fixes the deadline, evaluates the template, and writes the
// lease that says what is about to be made, and where.
func (e *Engine) plan(ctx context.Context, op Operation, s *session, t Template, b *backend, ttl time.Duration) (provider.Spec, error) {
	called := op.Call()
	prepared, err := b.Prepare(ctx, t.Image())
	called()
	if err != nil {
		return provider.Spec{}, err
	}
	if err := e.fixDeadline(s, ttl); err != nil {
		return provider.Spec{}, err
	}
	rec := s.record()
	spec, err := t.Spec(ctx, SpecInput{
		SessionID: s.id, ChatID: rec.ChatID, AgentID: rec.AgentID,
		Volume: rec.Volume, VolumeHostPath: rec.VolumeHostPath,
		CreatedAt: rec.CreatedAt, ExpiresAt: rec.ExpiresAt, Prepared: prepared,
	})
	if err != nil {
		return provider.Spec{}, err
	}
	spec.Name, spec.Owner, spec.RequestHash = rec.SandboxName, e.owner, rec.RequestHash
	spec.ConfirmStart = spec.Port == 0 || !probes(rec.Ready)
	identity, err := e.leasable(s, b)
	if err != nil {
		return provider.Spec{}, err
	}
	if err := crash.Point("host.create.planned"); err != nil {
		return provider.Spec{}, err
	}
	return spec, e.amend(ctx, s, func(r *lease.Record) error {
		if err := e.stillWanted(ctx, s, r); err != nil {
			return err
		}
		r.Identity = identity
		return nil
	})
}

// leasable is the identity of the backend that a new sandbox will be on: the lease names it.
// One that was put into the place of the one that holds the sessions gets no lease. Were there
// one, the sessions of the provider would be on two backends, and neither could serve them.
func (e *Engine) leasable(s *session, b *backend) (string, error) {
	switch st := b.Status(); {
	case st.Changed:
		return "", &provider.Error{Class: provider.Unavailable, Op: "create", ID: s.id,
			Message: fmt.Sprintf("provider %q is not available", b.name), Err: st.Err}
	case st.Identity == "":
		return "", &provider.Error{Class: provider.Unavailable, Op: "create", ID: s.id,
			Message: fmt.Sprintf("provider %q does not say which backend it is on", b.name)}
	default:
		return st.Identity, nil
	}
}

// stillWanted is an error when a create was interrupted. The write lock is held.
func (e *Engine) stillWanted(ctx context.Context, s *session, r *lease.Record) error {
	switch {
	case r.State != lease.Creating:
		return errDeleted
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.due(e.clock.now()):
		return errDeadline
	}
	return nil
}

// explain puts the cause of ctx's end in the place of the error of the call that it ended.
// A timeout explains itself, so what the call said is kept beside it.
func explain(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || cause == nil {
		return err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &provider.Error{Class: provider.Internal, Message: cause.Error(), Err: err}
	}
	return cause
}

// fixDeadline fixes created-at and expires-at, from which moment the session can be
// extended, and expires.
func (e *Engine) fixDeadline(s *session, ttl time.Duration) error {
	created := time.Now().UTC().Truncate(time.Microsecond)
	err := e.amendVisible(s, func(r *lease.Record) error {
		if r.State != lease.Creating {
			return errDeleted
		}
		r.CreatedAt, r.ExpiresAt = created, created.Add(ttl).Truncate(time.Microsecond)
		r.FirstExpiresAt = r.ExpiresAt
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.deadline = e.clock.at(s.rec.ExpiresAt)
	s.mu.Unlock()
	s.closePlanned()
	e.reschedule(s)
	return nil
}

// createOnce asks the provider for the sandbox. When the outcome of the call is unknown
// it asks Get before it creates again, on a generation that was reconciled. The calls to
// Create end with hard alone; nothing more is begun once soft has ended.
func (e *Engine) createOnce(hard, soft context.Context, op Operation, s *session, b *backend, spec provider.Spec) (provider.Created, error) {
	create := func() (provider.Created, error) {
		defer op.Call()()
		return b.Create(hard, spec)
	}
	created, err := create()
	if err == nil {
		err = crash.Point("host.create.answered")
	}
	if class := provider.ClassOf(err); class != provider.Unavailable && class != provider.Canceled || hard.Err() != nil {
		return created, err
	}
	wait, cancel := context.WithTimeout(soft, unknownOutcomeWait)
	defer cancel()
	if b.WaitReady(wait) != nil {
		return created, err
	}
	e.log.Info("the outcome of a create is unknown; looking for its sandbox", "session_id", s.id, "err", err)
	sb, getErr := b.Get(wait, provider.Ref{Name: spec.Name})
	switch {
	case soft.Err() != nil:
		return created, err
	case getErr == nil && sb.State == provider.StateRunning && e.madeFor(s.record(), sb):
		id, idErr := b.Identity(wait)
		if idErr != nil {
			return created, errors.Join(err, idErr)
		}
		return provider.Created{Outcome: provider.OutcomeAdopted, Sandbox: sb, Identity: id}, nil
	case getErr == nil || isNotFound(getErr):
		return create()
	default:
		return created, errors.Join(err, getErr)
	}
}

// accept checks a provider's answer to Create and takes it into the record.
func (e *Engine) accept(s *session, b *backend, created provider.Created, spec provider.Spec) error {
	sb := created.Sandbox
	lie := func(format string, args ...any) error { return e.refuse(b.name, "create", s.id, format, args...) }
	switch {
	case created.Outcome != provider.OutcomeCreated && created.Outcome != provider.OutcomeAdopted:
		return lie("outcome %q is neither created nor adopted", created.Outcome)
	case sb.ID == "":
		return lie("it has no sandbox id")
	case sb.SessionID != s.id:
		return lie("it is the sandbox of session %q", sb.SessionID)
	case sb.Owner != e.owner:
		return lie("it is the sandbox of owner %q", sb.Owner)
	case created.Identity == "":
		return lie("it does not say which backend it is of")
	case created.Outcome == provider.OutcomeCreated && !sb.ExpiresAt.Equal(spec.ExpiresAt):
		return lie("it bears the deadline %s, and %s was asked for", sb.ExpiresAt.Format(time.RFC3339Nano), spec.ExpiresAt.Format(time.RFC3339Nano))
	case spec.Port > 0 && (sb.Endpoint == nil || sb.Endpoint.IP == "" || sb.Endpoint.Port <= 0):
		return lie("it has no endpoint, and port %d was asked for", spec.Port)
	}
	if leased := s.record().Identity; created.Identity != leased {
		return e.disown(s, b, created, leased)
	}
	return e.amendVisible(s, func(r *lease.Record) error {
		r.SandboxID, r.FirstExpiresAt = sb.ID, sb.ExpiresAt // an adopted one bears that of the try that made it
		if r.State != lease.Creating {
			return nil // the delete that waits will want the id
		}
		if sb.Endpoint != nil {
			r.Endpoint = &lease.Endpoint{IP: sb.Endpoint.IP, Port: sb.Endpoint.Port}
		}
		return nil
	})
}

// disown removes a sandbox that was made on another backend than the lease names, because
// that one was replaced meanwhile. Were it kept, the sessions of the provider would be on two
// backends, and neither could serve them. It is removed now or, where that fails, is an
// orphan of that other backend.
func (e *Engine) disown(s *session, b *backend, created provider.Created, leased string) error {
	rec := s.record()
	if e.sameBackend(e.base, b, rec) == nil { // it was not replaced, or is back: nothing can be removed elsewhere
		return e.refuse(b.name, "create", s.id, "it is of backend %q, and the backend is %q", created.Identity, leased)
	}
	rec.Identity = created.Identity
	if err := e.remove(e.base, b, rec, created.Sandbox.ID); err != nil {
		e.log.Error("a sandbox was made on another backend than its session's, and can't be removed there", "provider", b.name,
			"session_id", s.id, "sandbox_id", created.Sandbox.ID, "backend", created.Identity, "err", err)
	}
	return &provider.Error{Class: provider.Unavailable, Op: "create", ID: s.id,
		Message: fmt.Sprintf("backend changed while it was being created: it was %q, and is %q", leased, created.Identity)}
}
