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
	roomy := roomForSockets(s.system.goos)
	if dir := s.text("state_dir", "", absolute, notRoot(""), roomy); dir != "" {
		return path.Clean(dir)
	}
	if s.attr("state_dir") != nil && s.diags.HasErrors() {
		return ""
	}
	dir := s.usersStateDir()
	if dir == "" {
		s.missing("state_dir", "It has no default here, because neither XDG_STATE_HOME nor HOME is set to an absolute path.")
	} else if limit, remedy := roomy(dir); limit != "" {
		s.must(s.header, "the user's state directory, which is the default of state_dir,", limit, quote(dir), remedy)
	}
	return dir
}

// usersStateDir is "" where there is none.
func (s *section) usersStateDir() string {
	if s.system.uid == 0 {
		return "/var/lib/berth"
	}
	if dir, _ := s.system.lookup("XDG_STATE_HOME"); path.IsAbs(dir) {
		return path.Join(dir, "berth")
	}
	if home, _ := s.system.lookup("HOME"); path.IsAbs(home) {
		return path.Join(home, ".local/state/berth")
	}
	return ""
}

// control reads where the API is served.
func (s *section) control(stateDir string) Control {
	c := Control{Socket: path.Join(stateDir, "berth.sock")}
	if sub := s.sub("control", controlNames); sub != nil && sub.attr("socket") != nil {
		c.Socket = path.Clean(sub.text("socket", c.Socket, filled, absolute, notRoot(""), fitsSocket(s.system.goos)))
	}
	return c
}

// fitsSocket refuses paths that the system can't bind.
func fitsSocket(goos string) check[string] {
	most := longestSocket(goos)
	return func(s string) (string, string) {
		if len(s) > most {
			return fmt.Sprintf("at most %d bytes long (this has %d)", most, len(s)), "The system can't bind a longer socket path."
		}
		return "", ""
	}
}

// longestSocket is how long a socket's path may be: with the closing NUL it must fit into
// sun_path; see unix(7).
func longestSocket(goos string) int {
	if goos == "linux" {
		return 107
	}
	return 103
}

// longestPluginSocket is the longest path that a plugin's socket has below state_dir; package
// launch tells where it comes from.
const longestPluginSocket = "/run/plugin-dir4294967295/plugin4294967295"

// roomForSockets refuses a state_dir in which the sockets of plugins would be too long; that
// of the API is shorter.
func roomForSockets(goos string) check[string] {
	most := longestSocket(goos) - len(longestPluginSocket)
	return func(s string) (string, string) {
		if n := len(path.Clean(s)); n > most {
			return fmt.Sprintf("at most %d bytes long (this has %d)", most, n), "The sockets of plugins are below it, and the system can't bind longer paths."
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
