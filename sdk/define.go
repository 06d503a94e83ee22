package sdk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/berth-dev/berth/sdk/internal/gate"
	"github.com/berth-dev/berth/sdk/provider"
)

// Definition describes a provider. C are the settings of its own block, S those of the
// templates that use it; both are structs with tags, see [SchemaOf].
type Definition[C, S any] struct {
	Name    string // "docker"
	Version string
	Doc     string // of the provider's block, one paragraph

	// Validate judges what the schemas can't express. It must not touch the backend. Nil:
	// the schemas say all.
	Validate func(ctx context.Context, config C, templates map[string]TemplateOf[S]) provider.Diagnostics

	// Open makes the provider. It succeeds also while the backend is away. When the
	// provider has a method Close() error, it is called when the plugin is drained.
	Open func(ctx context.Context, env Env, config C) (provider.Provider, error)
}

// TemplateOf is what a provider may judge of a template.
type TemplateOf[S any] struct {
	provider.TemplateInfo
	Config S
}

// Env is what a provider uses of the process around it, in place of globals.
type Env struct {
	Logger         *slog.Logger         // reaches the host's log; never nil
	TracerProvider trace.TracerProvider // never nil
	Owner          string               // the host's owner id

	crash      func() // ends a plugin's process after a panic; nil where it is linked in
	background *background
}

// Go runs f in a goroutine of the provider. Its ctx is done when the plugin is drained,
// which then waits for f, within its own deadline, before it closes the provider. A panic of
// f reaches the host's log with its stack, and ends the plugin's process: the host starts
// the next one, which finds the sandboxes. In a plugin that is linked into a host the
// goroutine alone ends.
func (e Env) Go(f func(ctx context.Context)) { e.background.run(e, f) }

func (e Env) withDefaults() Env {
	if e.Logger == nil {
		e.Logger = slog.New(slog.DiscardHandler)
	}
	if e.TracerProvider == nil {
		e.TracerProvider = noop.NewTracerProvider()
	}
	return e
}

// Define makes a plugin of a definition: for [Serve], or for a host in the same program,
// which gives it an Env by [WithEnv]. It panics when the definition can't be right: no
// Name, no Open, or settings of a type that no schema can describe.
func Define[C, S any](d Definition[C, S], opts ...Option) provider.Plugin {
	if d.Name == "" || d.Open == nil {
		panic("sdk: a Definition needs Name and Open")
	}
	p := &defined[C, S]{d: d, background: newBackground(), schemas: provider.Schemas{Provider: SchemaOf[C](), Sandbox: SchemaOf[S]()}}
	p.schemas.Provider.Doc = d.Doc
	for _, o := range opts {
		o(p)
	}
	return &gatedDefinition{Plugin: gate.Wrap(p), inner: p}
}

// Option changes how a defined plugin runs.
type Option func(environed)

// environed is a plugin that takes an Env.
type environed interface{ use(Env) }

// WithEnv gives the plugin its logger and tracer, where it is not served but linked into
// a host.
func WithEnv(env Env) Option { return func(p environed) { p.use(env) } }

// gatedDefinition keeps the way to the definition behind the gate.
type gatedDefinition struct {
	provider.Plugin
	inner environed
}

func (g *gatedDefinition) use(env Env) { g.inner.use(env) }

// defined is the plugin of one Definition.
type defined[C, S any] struct {
	d       Definition[C, S]
	schemas provider.Schemas

	mu   sync.Mutex
	env  Env
	open provider.Provider // nil before Configure

	background *background // what runs beside the calls
}

func (p *defined[C, S]) use(env Env) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.env = env
}

func (p *defined[C, S]) Info(context.Context) (provider.Info, error) {
	return provider.Info{Name: p.d.Name, Version: p.d.Version}, nil
}

func (p *defined[C, S]) Schemas(context.Context) (provider.Schemas, error) { return p.schemas, nil }

func (p *defined[C, S]) Validate(ctx context.Context, req provider.ValidateRequest) (provider.Diagnostics, error) {
	config, err := Decode[C](req.Config)
	if err != nil {
		return nil, invalid("validate", "the provider's settings", err)
	}
	templates := map[string]TemplateOf[S]{}
	for name, info := range req.Templates {
		templates[name] = TemplateOf[S]{TemplateInfo: info}
	}
	for name, values := range req.Sandboxes {
		s, err := Decode[S](values)
		if err != nil {
			return nil, invalid("validate", fmt.Sprintf("the settings of template %q", name), err)
		}
		templates[name] = TemplateOf[S]{TemplateInfo: req.Templates[name], Config: s}
	}
	if p.d.Validate == nil {
		return nil, nil
	}
	return p.d.Validate(ctx, config, templates), nil
}

func (p *defined[C, S]) Configure(ctx context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	config, err := Decode[C](req.Config)
	if err != nil {
		return provider.Configured{}, invalid("configure", "the provider's settings", err)
	}
	p.mu.Lock()
	env := p.env.withDefaults()
	p.mu.Unlock()
	env.Owner, env.background = req.Owner, p.background
	opened, err := p.d.Open(ctx, env, config)
	if err != nil {
		return provider.Configured{}, err
	}
	if opened == nil {
		return provider.Configured{}, &provider.Error{Class: provider.Internal, Op: "configure",
			Message: "Open returned neither a provider nor an error"}
	}
	p.mu.Lock()
	p.open = opened
	p.mu.Unlock()
	return provider.Configured{Capabilities: provider.CapabilitiesOf(opened)}, nil
}

func (p *defined[C, S]) Provider() provider.Provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// Drain is called by the gate when no call is in flight any more.
func (p *defined[C, S]) Drain(ctx context.Context) error {
	if err := p.background.end(ctx); err != nil {
		return err
	}
	if c, ok := p.Provider().(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func invalid(op, what string, err error) error {
	return &provider.Error{Class: provider.InvalidArgument, Op: op, Message: what + " can't be read", Err: err}
}
