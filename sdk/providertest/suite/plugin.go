package suite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/berth-dev/berth/sdk/provider"
)

// startCheck is made first. Where it fails no other is made.
const startCheck = "the plugin starts"

var pluginChecks = []check{
	{name: startCheck,
		promise: "a plugin starts, shakes hands if it is a process, and is ready for use once it is configured", run: checkStart},
	{name: "info names the plugin",
		promise: "Info tells a name and a version, the same each time, before anything else was called", run: checkInfo},
	{name: "validate accepts what configure accepts",
		promise: "Validate has no error for settings with which Configure succeeds", run: checkValidate},
	{name: "no verb works before configure",
		promise: "before Configure has succeeded every verb fails with unavailable", run: checkUnconfigured},
	{name: "capabilities are what it can do",
		promise: "a plugin claims the optional abilities that it has, and no other", run: checkCapabilities},
}

func checkStart(e *env) {
	g := e.raw()
	c, err := g.plugin.Configure(e.Context(), provider.ConfigureRequest{Config: e.opts.Config, Owner: e.owner})
	if err != nil {
		e.fatal(fmt.Sprintf("configured the plugin with %s", e.opts.Config), errorText(err), "success (say in Options.Config what it needs)")
	}
	_, err = (&handle{e: e, g: g}).health(e.Context())
	e.ok(err, "asked Health of a plugin that was just configured", "how its backend is")
	e.Logf("it claims %q", c.Capabilities)
}

func checkInfo(e *env) {
	g := e.raw()
	info, err := g.plugin.Info(e.Context())
	e.ok(err, "asked Info of a plugin that was just started", "name and version")
	if info.Name == "" || info.Version == "" {
		e.broken("asked Info", fmt.Sprintf("name %q, version %q", info.Name, info.Version), "neither is empty")
	}
	again, err := g.plugin.Info(e.Context())
	e.ok(err, "asked Info again", "the same answer")
	if !reflect.DeepEqual(info, again) {
		e.broken("asked Info twice", fmt.Sprintf("%+v and %+v", info, again), "the same answer")
	}
}

func checkValidate(e *env) {
	g := e.raw()
	s := e.opts.NewSpec(e.owner)
	found, err := g.plugin.Validate(e.Context(), provider.ValidateRequest{
		Config:    e.opts.Config,
		Sandboxes: map[string][]byte{"conformance": sandboxConfig(s)},
		Templates: map[string]provider.TemplateInfo{"conformance": {Image: s.Image, Network: s.Network,
			Port: s.Port, Publish: s.Publish, Mounts: s.Mounts}},
	})
	e.ok(err, "asked Validate for the settings of this run, before Configure", "diagnostics, none of them an error")
	if found.HasErrors() {
		e.broken("asked Validate for the settings of this run", fmt.Sprintf("%+v", found), "no diagnostic that is an error")
	}
	for _, d := range found {
		if d.Summary == "" || d.Severity != provider.SeverityError && d.Severity != provider.SeverityWarning {
			e.broken("asked Validate", fmt.Sprintf("the diagnostic %+v", d), "a severity, and a summary for people")
		}
	}
	if _, err := g.plugin.Configure(e.Context(), provider.ConfigureRequest{Config: e.opts.Config, Owner: e.owner}); err != nil {
		e.broken("configured what Validate had accepted", errorText(err), "success")
	}
}

func sandboxConfig(s provider.Spec) []byte {
	if s.Config == nil {
		return []byte("{}")
	}
	return s.Config
}

func checkUnconfigured(e *env) {
	h := &handle{e: e, g: e.raw()}
	if h.provider() == nil {
		return // there is nothing that could be called; the SDK then answers unavailable
	}
	ctx := e.Context()
	verbs := h.verbs(ctx, provider.Spec{Name: "berth-none", Owner: e.owner, SessionID: "none"}, "none")
	for _, name := range verbNames {
		e.class(verbs[name](), provider.Unavailable, "called "+name+" before Configure")
	}
}

// verbNames are the core verbs, in the order in which they are tried.
var verbNames = []string{"prepare", "get", "list", "stop", "delete", "identity", "health", "create"}

// verbs calls each core verb once, for a spec and an id, and returns its error.
func (h *handle) verbs(ctx context.Context, spec provider.Spec, id string) map[string]func() error {
	return map[string]func() error{
		"prepare": func() error {
			_, err := h.prepare(ctx, provider.PrepareRequest{Image: spec.Image, Config: spec.Config})
			return err
		},
		"create": func() error { _, err := h.create(ctx, spec); return err },
		"get":    func() error { _, err := h.get(ctx, provider.Ref{ID: id}); return err },
		"list": func() error {
			all, _, err := h.list(ctx)
			if err != nil && len(all) > 0 {
				return fmt.Errorf("%d sandboxes, and then %w", len(all), err)
			}
			return err
		},
		"stop": func() error {
			_, err := h.stop(ctx, provider.StopRequest{ID: id, Fence: fenceOf(spec)})
			return err
		},
		"delete":   func() error { _, err := h.del(ctx, provider.DeleteRequest{ID: id, Fence: fenceOf(spec)}); return err },
		"identity": func() error { _, err := h.identity(ctx); return err },
		"health":   func() error { _, err := h.health(ctx); return err },
	}
}

func checkCapabilities(e *env) {
	h := e.fresh()
	claimed := e.capabilities()
	if has := provider.CapabilitiesOf(h.provider()); !slices.Equal(has, claimed) {
		e.broken("compared what Configure answered with the methods of the provider", fmt.Sprintf("claimed %q, has %q", claimed, has),
			"what provider.CapabilitiesOf derives; sdk.Define does it for you")
	}
	for i, c := range claimed {
		if slices.Contains(claimed[:i], c) {
			e.broken("asked for the capabilities", fmt.Sprintf("%q, with %q twice", claimed, c), "each once")
		}
	}
	for c, use := range abilities {
		err := use(h)
		refused := errors.Is(err, provider.Unsupported) || errors.Is(err, errNoAbility)
		if is := slices.Contains(claimed, c); is && refused {
			e.broken(fmt.Sprintf("used the ability %q, which is claimed", c), errorText(err), "it works, or it is not claimed")
		} else if !is && !refused {
			e.broken(fmt.Sprintf("used the ability %q, which is not claimed", c), errorText(err), "an error of the class unsupported")
		}
	}
}

var errNoAbility = errors.New("the provider lacks the methods")

// abilities uses each optional ability once.
var abilities = map[provider.Capability]func(h *handle) error{
	provider.CapabilityLogs: func(h *handle) error {
		return h.logs(h.e.Context(), provider.LogsRequest{ID: missingID(h.e)}, func(provider.LogChunk) error { return nil })
	},
	provider.CapabilityEvents: func(h *handle) error {
		ctx, cancel := context.WithCancel(h.e.Context())
		defer cancel()
		return h.events(ctx, cancel, func(provider.Event) error { return nil })
	},
}
