package config

import (
	"fmt"
	"path"

	"github.com/hashicorp/hcl/v2"
)

// config reads the whole file.
func (r *reader) config() *Config {
	s := r.open(r.file.body, hcl.Range{Filename: r.file.name, Start: hcl.Pos{Line: 1, Column: 1}}, rootNames)
	cfg := &Config{
		Owner:       s.text("owner", "", named),
		PluginDir:   s.text("plugin_dir", "", absolute),
		VolumeRoots: s.texts("volume_roots", absolute, notRoot("With \"/\" a request could mount every directory of the host.")),
	}
	for i, root := range cfg.VolumeRoots {
		cfg.VolumeRoots[i] = path.Clean(root)
	}
	cfg.StateDir = s.stateDir()
	cfg.Control = s.control(cfg.StateDir)
	cfg.Metrics = s.metrics()
	cfg.Lifecycle = s.lifecycle()
	for _, b := range s.body.Blocks {
		if b.Type == "provider" && len(b.Labels) > 0 {
			cfg.Providers = append(cfg.Providers, r.provider(b))
		}
	}
	for _, b := range s.body.Blocks {
		if b.Type == "template" && len(b.Labels) > 0 {
			cfg.Templates = append(cfg.Templates, r.template(b, cfg))
		}
	}
	return cfg
}

// stateDir reads state_dir. Its default is the user's state directory.
func (s *section) stateDir() string {
	if dir := s.text("state_dir", "", absolute, notRoot("")); dir != "" {
		return path.Clean(dir)
	}
	if s.attr("state_dir") != nil && s.diags.HasErrors() {
		return ""
	}
	if s.system.uid == 0 {
		return "/var/lib/berth"
	}
	if dir, _ := s.system.lookup("XDG_STATE_HOME"); path.IsAbs(dir) {
		return path.Join(dir, "berth")
	}
	if home, _ := s.system.lookup("HOME"); path.IsAbs(home) {
		return path.Join(home, ".local/state/berth")
	}
	s.missing("state_dir", "It has no default here, because neither XDG_STATE_HOME nor HOME is set to an absolute path.")
	return ""
}

// control reads where the API is served.
func (s *section) control(stateDir string) Control {
	c := Control{Socket: path.Join(stateDir, "berth.sock")}
	fits := fitsSocket(s.system.goos)
	sub := s.sub("control", controlNames)
	if sub != nil && sub.attr("socket") != nil {
		c.Socket = path.Clean(sub.text("socket", c.Socket, filled, absolute, notRoot(""), fits))
	} else if limit, _ := fits(c.Socket); limit != "" && stateDir != "" {
		at := s.header
		if attr := s.attr("state_dir"); attr != nil {
			at = attr.Expr.Range()
		}
		s.must(at, "the socket's path", limit, quote(c.Socket), "Set socket in a control block, or a shorter state_dir.")
	}
	return c
}

// fitsSocket refuses paths that the system can't bind: with the closing NUL they must
// fit into sun_path.
func fitsSocket(goos string) check[string] {
	most := 103
	if goos == "linux" {
		most = 107
	}
	return func(s string) (string, string) {
		if len(s) > most {
			return fmt.Sprintf("at most %d bytes long (this has %d)", most, len(s)), "The system can't bind a longer socket path."
		}
		return "", ""
	}
}

// metrics reads where metrics are served. It is nil without a block.
func (s *section) metrics() *Metrics {
	sub := s.sub("metrics", metricsNames)
	if sub == nil {
		return nil
	}
	attr := sub.attr("address")
	if attr == nil {
		sub.missing("address", "As in address = \"127.0.0.1:9464\". Remove the block to serve no metrics.")
		return nil
	}
	m := &Metrics{Address: sub.text("address", "", listen)}
	if m.Address != "" && everywhere(m.Address) {
		s.warn(attr.Expr.Range(), fmt.Sprintf("address %s serves metrics on every network interface", quote(m.Address)), "Name one address, such as \"127.0.0.1:9464\", unless that is what you want.")
	}
	return m
}

// lifecycle reads the engine's durations and limits.
func (s *section) lifecycle() Lifecycle {
	l := DefaultLifecycle()
	sub := s.sub("lifecycle", lifecycleNames)
	if sub == nil {
		return l
	}
	l.SweepInterval = sub.duration("sweep_interval", l.SweepInterval)
	l.StopGrace = sub.duration("stop_grace", l.StopGrace)
	l.CreateTimeout = sub.duration("create_timeout", l.CreateTimeout)
	l.RecoveryGrace = sub.duration("recovery_grace", l.RecoveryGrace)
	l.EndedRetention = sub.duration("ended_retention", l.EndedRetention)
	l.MaxTTL = sub.duration("max_ttl", l.MaxTTL)
	l.MaxLifetime = sub.duration("max_lifetime", l.MaxLifetime)
	l.MaxSessions = int(sub.whole("max_sessions", int64(l.MaxSessions), 1, 1_000_000, ""))
	l.MaxCreating = int(sub.whole("max_creating", int64(l.MaxCreating), 1, 10_000, ""))
	l.MaxReaping = int(sub.whole("max_reaping", int64(l.MaxReaping), 1, 10_000, ""))
	if l.MaxTTL > l.MaxLifetime {
		at := sub.header
		for _, name := range []string{"max_lifetime", "max_ttl"} {
			if attr := sub.attr(name); attr != nil {
				at = attr.Expr.Range()
			}
		}
		sub.must(at, "max_ttl", "at most max_lifetime, "+short(l.MaxLifetime), short(l.MaxTTL), "Lower max_ttl or raise max_lifetime.")
	}
	return l
}
