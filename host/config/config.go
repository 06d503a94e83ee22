package config

import "time"

// Config is a whole configuration file. Defaults are filled in.
type Config struct {
	StateDir    string   // absolute; what the host keeps lies here
	Owner       string   // "": made once and kept in StateDir
	PluginDir   string   // absolute; "": beside the host's binary
	VolumeRoots []string // absolute and clean; none: a request with a volume is refused

	Control   Control
	Metrics   *Metrics // nil: no metrics are served
	Lifecycle Lifecycle

	Providers []*Provider // in the order of the file
	Templates []*Template // in the order of the file

	// Warnings are findings that refuse nothing.
	Warnings Diagnostics
}

// Control is where the host's API is served.
type Control struct {
	Socket string // absolute path of a unix socket, short enough for the system
}

// Metrics is where /metrics, /healthz and /readyz are served.
type Metrics struct {
	Address string // host:port
}

// Lifecycle holds the engine's durations, each above zero, and its limits, each at least 1.
type Lifecycle struct {
	SweepInterval  time.Duration
	StopGrace      time.Duration
	CreateTimeout  time.Duration
	RecoveryGrace  time.Duration
	EndedRetention time.Duration
	MaxTTL         time.Duration
	MaxLifetime    time.Duration // at least MaxTTL

	MaxSessions int
	MaxCreating int
	MaxReaping  int
}

// DefaultLifecycle returns the values that hold where a file says nothing.
func DefaultLifecycle() Lifecycle {
	return Lifecycle{
		SweepInterval:  time.Minute,
		StopGrace:      10 * time.Second,
		CreateTimeout:  2 * time.Minute,
		RecoveryGrace:  10 * time.Minute,
		EndedRetention: time.Hour,
		MaxTTL:         24 * time.Hour,
		MaxLifetime:    168 * time.Hour,
		MaxSessions:    1000,
		MaxCreating:    8,
		MaxReaping:     8,
	}
}

// Provider returns the provider of that name, or nil.
func (c *Config) Provider(name string) *Provider {
	for _, p := range c.Providers {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Template returns the template of that name, or nil.
func (c *Config) Template(name string) *Template {
	for _, t := range c.Templates {
		if t.Name == name {
			return t
		}
	}
	return nil
}
