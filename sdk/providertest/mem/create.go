package mem

import (
	"context"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// Create makes a sandbox, or adopts the one of the same name. The settings of the sandbox
// schema make it slow, failing or short-lived; see [Plugin].
func (p *Provider) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	settings, err := decodeSandbox(spec.Config)
	if err != nil {
		return provider.Created{}, fail(provider.InvalidArgument, Create, spec.SessionID, "config: %v", err)
	}
	asked := Fault{Delay: settings.CreateDelay.value(), Err: settings.createError(spec.SessionID)}
	if err := asked.play(ctx, Create, spec.SessionID); err != nil {
		p.b.count(Create)
		return provider.Created{}, err
	}

	var answer provider.Created
	err = p.verb(ctx, Create, spec.SessionID, func(f Fault) error {
		if err := check(spec); err != nil {
			return err
		}
		x, outcome, err := p.b.adoptOrMake(spec, settings)
		if err != nil {
			return err
		}
		answer = provider.Created{Outcome: f.outcome(outcome), Sandbox: x.listed(), Identity: f.backend(p.b.identity)}
		f.lie(&answer.Sandbox)
		return nil
	})
	if err != nil {
		return provider.Created{}, err
	}
	return answer, nil
}

func check(spec provider.Spec) error {
	for _, field := range []struct{ name, value string }{
		{"name", spec.Name}, {"owner", spec.Owner}, {"session_id", spec.SessionID},
		{"request_hash", spec.RequestHash}, {"digest", spec.Digest},
	} {
		if field.value == "" {
			return fail(provider.InvalidArgument, Create, spec.SessionID, "%s is empty: the host must fill it", field.name)
		}
	}
	return nil
}

// adoptOrMake looks at the name first. The caller holds mu.
func (b *Backend) adoptOrMake(spec provider.Spec, settings sandboxSettings) (*box, provider.Outcome, error) {
	if x := b.byName(spec.Name); x != nil {
		s := x.Sandbox
		if s.Unreadable != "" || s.Owner != spec.Owner || s.SessionID != spec.SessionID || s.RequestHash != spec.RequestHash {
			return nil, "", fail(provider.Conflict, Create, spec.SessionID,
				"the name %q is taken by sandbox %s of another request", spec.Name, s.ID)
		}
		if s.State == provider.StateRunning {
			return x, provider.OutcomeAdopted, nil
		}
		b.remove(s.ID)
		b.emit(x, provider.EventRemoved)
	}
	return b.make(spec, settings), provider.OutcomeCreated, nil
}

func (b *Backend) make(spec provider.Spec, settings sandboxSettings) *box {
	x := &box{Sandbox: provider.Sandbox{
		ID:             b.nextID(),
		Name:           spec.Name,
		State:          provider.StateRunning,
		Owner:          spec.Owner,
		SessionID:      spec.SessionID,
		ChatID:         spec.ChatID,
		AgentID:        spec.AgentID,
		Template:       spec.Template,
		RequestHash:    spec.RequestHash,
		CreatedAt:      now(),
		ExpiresAt:      spec.ExpiresAt,
		VolumeHostPath: spec.VolumeHostPath,
	}, Stubborn: settings.Stubborn}
	if spec.Port != 0 {
		x.Sandbox.Endpoint = &provider.Endpoint{IP: b.ip, Port: spec.Port}
		if b.port != 0 {
			x.Sandbox.Endpoint.Port = b.port
		}
		if settings.Port != 0 {
			x.Sandbox.Endpoint.Port = settings.Port
		}
	}
	for _, text := range settings.Log {
		x.print(text, false)
	}
	b.boxes = append(b.boxes, x)
	b.emit(x, provider.EventStarted)
	if id := x.Sandbox.ID; settings.ExitAfter > 0 {
		x.timer = time.AfterFunc(settings.ExitAfter.value(), func() { b.Exit(id, settings.ExitCode, false) })
	}
	return x
}
