package config

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/berth-dev/berth/sdk/provider"
)

// short writes a duration as in a file: "24h", not "24h0m0s".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return fmt.Sprintf("%q", s)
}

// template reads one template block, all but its config.
func (r *reader) template(b *hclsyntax.Block, cfg *Config) *Template {
	s := r.open(b.Body, b.DefRange(), templateNames)
	t := &Template{
		Name:    b.Labels[0],
		Image:   s.text("image", "", spaceless),
		Network: s.text("network", "", spaceless),
		Port:    int(s.whole("port", 0, 1, 65535, "Leave it out for a sandbox without an endpoint.")),
		Publish: s.text("endpoint", "network", oneOf("network", "published")) == "published",
		file:    r.file,
		block:   b,
		reader:  r,
	}
	s.usedProvider(t, cfg)
	s.ttl(t, cfg.Lifecycle)
	s.limits(t)
	s.resources(t)
	s.ready(t)
	if t.Publish && t.Port == 0 && s.attr("port") == nil {
		s.fail(s.attr("endpoint").Expr.Range(), "endpoint is \"published\", but there is no port to publish", "Set port to the agent's port in the sandbox.")
	}
	s.mounts(t)
	if a := s.attr("command"); a != nil && s.names(a.Expr, "command", true) {
		t.command = a.Expr
	}
	if a := s.attr("env"); a != nil && s.names(a.Expr, "env", true) {
		t.env = a.Expr
	}
	s.rehearse(t)
	return t
}

// spaceless refuses white space.
func spaceless(s string) (limit, remedy string) {
	if strings.ContainsAny(s, " \t\n") {
		return "a name without white space", ""
	}
	return "", ""
}

// usedProvider finds the provider that a template names.
func (s *section) usedProvider(t *Template, cfg *Config) {
	known := make([]string, len(cfg.Providers))
	for i, p := range cfg.Providers {
		known[i] = p.Name
	}
	attr := s.attr("provider")
	if attr == nil {
		remedy := "Name a provider block: provider = \"docker\"."
		if len(known) > 0 {
			remedy = fmt.Sprintf("Name a provider block: provider = %q.", known[0])
		}
		s.missing("provider", remedy)
		return
	}
	before := len(s.diags)
	if t.Provider = s.text("provider", ""); len(s.diags) > before {
		return
	}
	p := cfg.Provider(t.Provider)
	if p == nil {
		s.fail(attr.Expr.Range(), fmt.Sprintf("unknown provider %s", quote(t.Provider)), hint(t.Provider, known, "provider block"))
		return
	}
	p.templates = append(p.templates, t)
}

// ttl reads a template's ttl. Its default is five minutes.
func (s *section) ttl(t *Template, l Lifecycle) {
	t.TTL = s.duration("ttl", 5*time.Minute)
	if t.TTL <= l.MaxTTL {
		return
	}
	at, value := s.header, short(t.TTL)+", its default"
	if attr := s.attr("ttl"); attr != nil {
		at, value = attr.Expr.Range(), short(t.TTL)
	}
	s.must(at, "ttl", "at most max_ttl, "+short(l.MaxTTL), value, "Lower it, or raise max_ttl in the lifecycle block.")
}

// limits reads a template's own limits.
func (s *section) limits(t *Template) {
	sub := s.sub("limits", limitsNames)
	if sub == nil {
		return
	}
	const remedy = "Leave it out for no limit but max_sessions."
	t.Limits.Sessions = int(sub.whole("sessions", 0, 1, 1_000_000, remedy))
	t.Limits.SessionsPerAgent = int(sub.whole("sessions_per_agent", 0, 1, 1_000_000, remedy))
}

// defaultResources are the limits that hold where a template says nothing.
func defaultResources() provider.Resources {
	return provider.Resources{MemoryBytes: 512 << 20, NanoCPUs: 1e9, Pids: 2048, Swap: provider.SwapAuto}
}

// resources reads the upper limits of a sandbox, which hold also without the block.
func (s *section) resources(t *Template) {
	t.Resources = defaultResources()
	sub := s.sub("resources", resourcesNames)
	if sub == nil {
		return
	}
	t.Resources.MemoryBytes = sub.size("memory", t.Resources.MemoryBytes, 1<<20, 1<<50, "from \"1MiB\" to \"1024TiB\"")
	t.Resources.NanoCPUs = sub.cpus("cpus", t.Resources.NanoCPUs)
	t.Resources.Pids = sub.whole("pids", t.Resources.Pids, 1, 4_194_304, "")
	t.Resources.Swap = provider.SwapPolicy(sub.text("swap", string(provider.SwapAuto), oneOf(string(provider.SwapAuto), string(provider.SwapRequire))))
}

// size reads a size in bytes.
func (s *section) size(name string, fallback, low, high int64, bounds string) int64 {
	attr := s.attr(name)
	if attr == nil {
		return fallback
	}
	v, ok := s.constant(attr.Expr, name, cty.String, "a size such as \"512MiB\"")
	if !ok {
		return fallback
	}
	n, limit, remedy := parseSize(v.AsString())
	if limit == "" && (n < low || n > high) {
		limit, remedy = bounds, ""
	}
	if limit != "" {
		s.must(attr.Expr.Range(), name, limit, quote(v.AsString()), remedy)
		return fallback
	}
	return n
}

// cpus reads a number of CPUs, fractions allowed, as billionths of one.
func (s *section) cpus(name string, fallback int64) int64 {
	attr := s.attr(name)
	if attr == nil {
		return fallback
	}
	const want = "a number from 0.01 to 1024"
	v, ok := s.constant(attr.Expr, name, cty.Number, want)
	if !ok {
		return fallback
	}
	f, _ := new(big.Float).Mul(v.AsBigFloat(), big.NewFloat(1e9)).Float64()
	if f < 1e7 || f > 1024e9 {
		s.must(attr.Expr.Range(), name, want, number(v.AsBigFloat()), "")
		return fallback
	}
	return int64(f + 0.5)
}

// ready reads how the agent's readiness is told.
func (s *section) ready(t *Template) {
	sub := s.sub("ready", readyNames)
	if sub == nil {
		return
	}
	before := len(s.diags)
	ready := &Ready{TCP: sub.flag("tcp"), HTTP: sub.text("http", "", urlPath), Timeout: sub.duration("timeout", 30*time.Second)}
	switch {
	case len(s.diags) > before:
	case ready.TCP && ready.HTTP != "":
		sub.fail(sub.attr("http").Range(), "ready has tcp and http; it must have one", "An answer to http needs a TCP connection anyway: remove tcp.")
	case !ready.TCP && ready.HTTP == "":
		sub.fail(sub.header, "ready asks for nothing", "Set tcp = true or http = \"/healthz\", or remove the block: then a sandbox that runs counts as ready.")
	case t.Port == 0 && s.attr("port") == nil:
		sub.fail(sub.header, "ready needs an endpoint, and the template has no port", "Set port to the agent's port in the sandbox, or remove the block.")
	}
	t.Ready = ready
}
