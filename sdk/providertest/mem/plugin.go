package mem

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/berth-dev/berth/sdk/provider"
)

// Plugin returns a plugin whose provider is on b. Its settings, in the two schemas, make b
// what a test needs; those that are about a process (state_file, ignore_sigterm, …, a
// fault's exit) are refused: they are for [Main].
func Plugin(b *Backend) provider.Plugin { return crooked(&plugin{b: b}, b.broken()) }

// Main returns the plugin of the mock binary. It understands every setting, and must have
// its process for itself.
func Main() provider.Plugin {
	b := NewBackend("mem")
	b.Break(Breach(os.Getenv(BreachEnv)))
	if b.breach == PrintsFirst {
		fmt.Println("welcome to the mock provider")
	}
	return crooked(&plugin{b: b, process: true}, b.broken())
}

type plugin struct {
	b       *Backend
	process bool
}

func (p *plugin) fault(ctx context.Context, op Verb) error {
	f := p.b.begin(op)
	f.After = false
	return f.before(ctx, op, "")
}

func (p *plugin) Info(ctx context.Context) (provider.Info, error) {
	if err := p.fault(ctx, Info); err != nil {
		return provider.Info{}, err
	}
	return provider.Info{Name: "mock", Version: "1.0.0"}, nil
}

func (p *plugin) Schemas(ctx context.Context) (provider.Schemas, error) {
	if err := p.fault(ctx, Schemas); err != nil {
		return provider.Schemas{}, err
	}
	return schemas(), nil
}

func (p *plugin) Validate(ctx context.Context, req provider.ValidateRequest) (provider.Diagnostics, error) {
	if err := p.fault(ctx, Validate); err != nil {
		return nil, err
	}
	var found provider.Diagnostics
	add := func(template, summary string, path ...string) {
		found = append(found, provider.Diagnostic{Severity: provider.SeverityError, Summary: summary,
			Detail: "Remove or correct the setting.", Template: template, Path: path})
	}
	s, err := decodeProvider(req.Config)
	switch {
	case err != nil:
		add("", err.Error())
	case s.Reject != "":
		add("", s.Reject, "reject")
	}
	if name := s.needsProcess(); name != "" && !p.process {
		add("", name+" needs a process of its own: use the mock binary", name)
	}
	for _, template := range slices.Sorted(maps.Keys(req.Sandboxes)) {
		s, err := decodeSandbox(req.Sandboxes[template])
		switch {
		case err != nil:
			add(template, err.Error())
		case s.Reject != "":
			add(template, s.Reject, "reject")
		}
	}
	return found, nil
}

func (p *plugin) Configure(ctx context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	none := provider.Configured{}
	if err := p.fault(ctx, Configure); err != nil {
		return none, err
	}
	s, err := decodeProvider(req.Config)
	if err != nil {
		return none, fail(provider.InvalidArgument, Configure, "", "config: %v", err)
	}
	if name := s.needsProcess(); name != "" && !p.process {
		return none, fail(provider.InvalidArgument, Configure, "", "%s needs a process of its own: use the mock binary", name)
	}
	if err := p.apply(s); err != nil {
		return none, &provider.Error{Class: provider.Internal, Op: string(Configure), Err: err}
	}
	if s.Unable {
		return none, nil
	}
	return provider.Configured{Capabilities: provider.CapabilitiesOf(p.b.Provider())}, nil
}

func (p *plugin) Provider() provider.Provider { return p.b.Provider() }

func (p *plugin) Drain(ctx context.Context) error { return p.fault(ctx, Drain) }

// apply makes the backend what the settings say.
func (p *plugin) apply(s providerSettings) error {
	if s.StateFile != "" {
		opened, err := Open("", s.StateFile)
		if err != nil {
			return err
		}
		p.b.mu.Lock()
		p.b.file = opened.file
		p.b.file.last = nil // read again, into this backend
		p.b.mu.Unlock()
	}
	if s.Identity != "" {
		p.b.SetIdentity(s.Identity)
	}
	if s.Away {
		p.b.SetAvailable(false)
	}
	if s.IP != "" || s.Port != 0 {
		p.b.SetEndpoint(s.IP, s.Port)
	}
	if s.User != "" {
		p.b.SetUser(s.User)
	}
	for _, f := range s.Faults {
		p.b.Fail(f.Verb, f.fault())
	}
	return s.disturbProcess()
}

func (s faultSetting) fault() Fault {
	f := Fault{Times: s.Times, After: s.After, Delay: s.Delay.value(), Hang: s.Hang}
	if s.Error != "" {
		f.Err = &provider.Error{Class: s.Error, Op: string(s.Verb), Message: s.Message}
		if s.Message == "" {
			f.Err = &provider.Error{Class: s.Error, Op: string(s.Verb), Err: errors.New("a fault block asks for it")}
		}
	}
	f.Outcome, f.Backend, f.Twice, f.Lie = provider.Outcome(s.Outcome), s.Backend, s.Lie == lieTwice, lies[s.Lie]
	if s.Panic != "" {
		f.Panic = s.Panic
	}
	if s.Exit != 0 {
		f.exit = s.Exit
	}
	return f
}
