package mem

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/berth-dev/berth/sdk/internal/gate"
	"github.com/berth-dev/berth/sdk/provider"
)

// crooked puts the gate before a plugin. The plugin breaks that one promise; none if it is
// empty.
func crooked(p *plugin, breach Breach) provider.Plugin {
	if breach == "" {
		return gate.Wrap(p)
	}
	c := &crookedPlugin{plugin: p, breach: breach}
	c.provider = &crookedProvider{Provider: p.b.Provider(), breach: breach, healed: p.b.untilHealed(), own: map[string]bool{}, jammed: map[string]bool{}, busy: map[string]bool{}, born: time.Now()}
	switch breach {
	case Ungated:
		return c
	case DrainHurries, DrainHangs:
		return &hasty{gate.Wrap(c), breach}
	}
	return gate.Wrap(c)
}

func (b *Backend) broken() Breach {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.breach
}

func (b *Backend) untilHealed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.healed
}

// crookedPlugin breaks the promises of a plugin.
type crookedPlugin struct {
	*plugin
	breach   Breach
	provider *crookedProvider
}

func (c *crookedPlugin) Info(ctx context.Context) (provider.Info, error) {
	info, err := c.plugin.Info(ctx)
	if c.breach == InfoEmpty {
		info.Version = ""
	}
	return info, err
}

func (c *crookedPlugin) Schemas(ctx context.Context) (provider.Schemas, error) {
	s, err := c.plugin.Schemas(ctx)
	switch c.breach {
	case SchemasChange:
		s.Provider.Doc += fmt.Sprintf(" Asked %d times.", c.b.Calls(Schemas))
	case SchemasInsane:
		s.Sandbox.Attributes = append(s.Sandbox.Attributes,
			provider.Attribute{Name: "level", Type: provider.TypeInt, Default: []byte("9"), Max: new(5.0), Doc: "Beyond its own bound."})
	}
	return s, err
}

func (c *crookedPlugin) Validate(ctx context.Context, req provider.ValidateRequest) (provider.Diagnostics, error) {
	found, err := c.plugin.Validate(ctx, req)
	if c.breach == ValidateRefuses {
		found = append(found, provider.Diagnostic{Severity: provider.SeverityError, Summary: "it does not look right"})
	}
	return found, err
}

func (c *crookedPlugin) Configure(ctx context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	configured, err := c.plugin.Configure(ctx, req)
	c.provider.owner = req.Owner
	switch c.breach {
	case ConfigureWantsDaemon:
		if _, away := c.b.Provider().Identity(ctx); away != nil && err == nil {
			return provider.Configured{}, away
		}
	case ConfigureFails:
		return provider.Configured{}, fail(provider.InvalidArgument, Configure, "", "these settings will not do")
	case ClaimsTooLittle:
		configured.Capabilities = nil
	case IgnoresTerm:
		signal.Ignore(syscall.SIGTERM) // after the SDK has begun to listen for it
	case DiesOfFrost:
		thawed := make(chan os.Signal, 1)
		signal.Notify(thawed, syscall.SIGCONT)
		go func() { <-thawed; os.Exit(4) }()
	}
	return configured, err
}

func (c *crookedPlugin) Provider() provider.Provider {
	if c.breach == ClaimsTooMuch {
		return struct{ provider.Provider }{c.provider} // no ability shows, and all are claimed
	}
	return c.provider
}

func (c *crookedPlugin) Drain(ctx context.Context) error {
	if c.breach == LeaksAtDrain {
		go c.provider.stuck()
	}
	return c.plugin.Drain(ctx)
}

// hasty is a plugin whose Drain does not do its work.
type hasty struct {
	provider.Plugin
	breach Breach
}

func (h *hasty) Drain(ctx context.Context) error {
	if h.breach == DrainHurries {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// crookedProvider breaks the promises of a provider. Each theme has its file.
type crookedProvider struct {
	*Provider
	breach Breach
	healed <-chan struct{}
	owner  string // of the host
	born   time.Time

	mu     sync.Mutex
	own    map[string]bool // ids that this generation has made
	calls  int             // of Identity
	jammed map[string]bool // names, by CancelJams
	busy   map[string]bool // ids, by DeletesCollide
	last   string          // the identity that was told last
}

var (
	_ provider.LogReader   = (*crookedProvider)(nil)
	_ provider.EventSource = (*crookedProvider)(nil)
)

// stuck returns when the backend is healed.
func (c *crookedProvider) stuck() { <-c.healed }

// pause waits for so long.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

// deaf holds up a call whose context is done soon, with the breach Deaf.
func (c *crookedProvider) deaf(ctx context.Context) {
	if c.breach != Deaf {
		return
	}
	if pause(raceWindow); ctx.Err() != nil {
		c.stuck()
	}
}

func (c *crookedProvider) Health(ctx context.Context) (provider.Health, error) {
	h, err := c.Provider.Health(ctx)
	switch c.breach {
	case HealthWrong:
		h = provider.Health{Message: "it feels unwell"}
	case AwayIsHealthy:
		h.Available, h.Message, h.Identity = true, "", c.b.identity
	case LimitsUnnamed:
		h.Limitations = []provider.Limitation{{Name: "No Swap"}}
	case LeaksDescriptors:
		if f, open := os.Open(os.DevNull); open == nil {
			c.b.mu.Lock()
			c.b.leaked = append(c.b.leaked, f)
			c.b.mu.Unlock()
		}
	}
	return h, err
}

func (c *crookedProvider) Identity(ctx context.Context) (string, error) {
	if c.breach == Blocks {
		c.stuck()
	}
	id, err := c.Provider.Identity(ctx)
	c.deaf(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	switch c.breach {
	case IdentityEmpty:
		id = ""
	case IdentityChanges:
		id += fmt.Sprint(c.calls)
	case IdentityOfProcess:
		id += fmt.Sprint(c.born.UnixNano())
	case AwayRemembered:
		if err != nil && c.last != "" {
			return c.last, nil
		}
	}
	c.last = id
	return id, err
}
