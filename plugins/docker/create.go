package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// Create makes and starts the container of spec; see [provider.Provider].
func (p *Provider) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	ctx, span := spans.Start(ctx, p.tracer, spanCreate,
		spans.ChatID.String(spec.ChatID), spans.SessionID.String(spec.SessionID))
	created, id, err := p.create(ctx, spec)
	if id != "" {
		span.SetAttributes(attrContainerID.String(id))
	}
	if err != nil {
		err = p.failure(ctx, "create", spec.SessionID, codeStart,
			"sandbox of chat "+spec.ChatID+" did not start", err)
		p.log.WarnContext(ctx, "create failed", "code", codeStart, "class", string(provider.ClassOf(err)),
			"session_id", spec.SessionID, "chat_id", spec.ChatID, "container_id", id, "error", err)
		spans.End(span, "", err)
		return provider.Created{}, err
	}
	spans.End(span, string(provider.OutcomeCreated), nil) // adopted counts as created
	return created, nil
}

// create also returns the id of the container that it was about, on failure too.
func (p *Provider) create(ctx context.Context, spec provider.Spec) (created provider.Created, id string, err error) {
	plan, err := p.plan(ctx, spec)
	if err != nil {
		return created, "", err
	}
	// Two creates of one name at a time would take each other's container, made and not
	// yet started, for one that has ended.
	unlock, err := p.names.Lock(ctx, spec.Name)
	if err != nil {
		return created, "", err
	}
	defer unlock()

	for turn := newTurns(); ; {
		id, err = p.make(ctx, plan)
		if err == nil {
			break
		}
		if classOf(ctx, err) != provider.Conflict {
			return created, id, err
		}
		adopted, err := p.settle(ctx, spec, &turn)
		if err != nil {
			return created, "", err
		}
		if adopted != nil {
			return *adopted, adopted.Sandbox.ID, nil
		}
	}

	sandbox, err := p.start(ctx, plan, id)
	if err == nil {
		created = provider.Created{Outcome: provider.OutcomeCreated, Sandbox: sandbox}
		created.Identity, err = p.knownIdentity(ctx)
	}
	if err == nil {
		err = crash.Point("docker.create.observed")
	}
	if err != nil {
		return provider.Created{}, id, p.undo(ctx, id, err)
	}
	p.made.put(id, plan.config.Labels)
	return created, id, nil
}

// make has the daemon make the container, and learns what came of it even when the
// caller has left meanwhile: what exists must be known to be removed.
func (p *Provider) make(ctx context.Context, plan *plan) (id string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := crash.Point("docker.create.naming"); err != nil {
		return "", err
	}
	learn, cancel := outlive(ctx, learnGrace)
	defer cancel()
	made, err := p.daemon.client().ContainerCreate(learn, plan.config, plan.host, nil, nil, plan.spec.Name)
	for _, w := range made.Warnings {
		p.log.WarnContext(ctx, "the daemon warns", "session_id", plan.spec.SessionID, "warning", w)
	}
	if err == nil {
		err = crash.Point("docker.create.made")
	}
	switch {
	case err == nil && made.ID != "":
		return made.ID, nil
	case err == nil:
		err = errors.New("the daemon answered without a container id")
	case !outcomeUnknown(err):
		return "", createRefused(err)
	}
	return "", p.undoByName(ctx, plan.spec, err)
}

// start starts a made container and observes it.
func (p *Provider) start(ctx context.Context, plan *plan, id string) (provider.Sandbox, error) {
	if err := ctx.Err(); err != nil {
		return provider.Sandbox{}, err
	}
	learn, cancel := outlive(ctx, learnGrace)
	defer cancel()
	if err := p.daemon.client().ContainerStart(learn, id, container.StartOptions{}); err != nil {
		return provider.Sandbox{}, startRefused(err)
	}
	if err := crash.Point("docker.create.started"); err != nil {
		return provider.Sandbox{}, err
	}
	if plan.spec.ConfirmStart {
		p.awaitExit(ctx, id, startLook)
	}
	c, err := p.daemon.client().ContainerInspect(learn, id)
	if err != nil {
		return provider.Sandbox{}, err
	}
	if err := ctx.Err(); err != nil {
		return provider.Sandbox{}, err
	}
	return started(plan.spec, c)
}

// awaitExit returns when the container has ended, or after bound, whatever comes first.
// Docker's init runs for a moment also when the command can't be executed.
func (p *Provider) awaitExit(ctx context.Context, id string, bound time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	ended, failed := p.daemon.client().ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select {
	case <-ended:
	case <-failed: // the inspect that follows tells what there is
	}
}

// started checks that a container that was started has what a sandbox needs.
func started(spec provider.Spec, c container.InspectResponse) (provider.Sandbox, error) {
	s := fromInspect(c)
	switch {
	case s.State == provider.StateExited:
		why := fmt.Sprintf("its process exited at once with code %d", s.Exit.Code)
		if s.Exit.OOMKilled {
			why += ", killed for memory"
		}
		return s, errors.New(why)
	case s.State != provider.StateRunning:
		return s, fmt.Errorf("the container is %s after its start", s.State)
	case s.Unreadable != "":
		return s, errors.New(s.Unreadable)
	case spec.Network != networkHost && spec.Network != networkNone && placementOf(c).ip() == "":
		return s, fmt.Errorf("the container has no IP address on network %q", spec.Network)
	case spec.Port != 0 && s.Endpoint == nil:
		return s, fmt.Errorf("port %d of the container is not published on %s", spec.Port, loopback)
	}
	return s, nil
}

// outlive returns a context that goes on for grace after ctx is done.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(time.Hour, cancel)
	timer.Stop()
	stop := context.AfterFunc(ctx, func() { timer.Reset(grace) })
	return out, func() {
		stop()
		timer.Stop()
		cancel()
	}
}
