package supervisor

import (
	"context"
	"log/slog"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// Launcher makes the lives of one plugin.
//
// A launcher that can tell cheaply which binary it would launch has a method
// Fingerprint() string as well. When its answer changes, a plugin that was MISCONFIGURED
// is tried again.
type Launcher interface {
	// Launch starts one. ctx bounds the start, not the life. The error is shown as it is.
	Launch(ctx context.Context) (Instance, error)
}

// Instance is one life of a plugin. Its methods may be called concurrently. One that is a
// process has a method PID() int as well.
type Instance interface {
	Plugin() provider.Plugin

	// Ping returns nil when the instance answers. It returns when ctx is done.
	Ping(ctx context.Context) error

	// Done is closed when the life has ended; Err then tells why.
	Done() <-chan struct{}
	Err() error

	// Close ends it: politely first, by force when ctx is done. It returns when nothing of
	// it is left.
	Close(ctx context.Context) error

	// Kill ends it by force and returns at once.
	Kill()
}

// Settings are one provider's settings, as the operator wrote them.
type Settings interface {
	// Bind decodes them with a plugin's schemas. The error is for the operator, and makes
	// the provider MISCONFIGURED.
	Bind(schemas provider.Schemas) (provider.ValidateRequest, error)

	// Explain says where in the settings the findings are. It returns an error, for the
	// operator, when one of them refuses the configuration.
	Explain(found provider.Diagnostics) error
}

// Observer hears of what the supervisor does, for metrics. Every method returns at once
// and may be called concurrently.
type Observer interface {
	// PluginUp tells that a plugin is configured and answers, or no longer does.
	PluginUp(providerName string, up bool)

	// PluginRestarted counts a launch after the first: "died", "hung", "start_failed",
	// "changed" (a binary that was MISCONFIGURED) or "reloaded" (a successor, or the first
	// try by its settings).
	PluginRestarted(providerName, reason string)

	// BadAnswer counts an answer of the plugin that the contract does not allow.
	BadAnswer(providerName, method string)

	// OtherBackend counts that the backend came to be another one than the sessions'.
	OtherBackend(providerName string)

	// RPC tells of one call: the verb, "ok" or the error's class, and how long it took.
	RPC(providerName, method, code string, took time.Duration)
}

// Options say what to supervise. Name, Launcher and Settings are required.
type Options struct {
	Name     string // of the provider's block
	Launcher Launcher
	Settings Settings
	Owner    string // the host's owner id, for Configure

	// AcceptBackend tells what the operator has written as accept_backend, as of now: the
	// backend whose arrival ends the sessions of another one as lost. Nil or "": none, a
	// changed backend stays DEGRADED.
	AcceptBackend func() string

	Engine   lifecycle.Supervised // nil: nothing to reconcile with
	Observer Observer             // nil: nobody
	Logger   *slog.Logger         // nil: none
}

// Reasons of a restart.
const (
	restartDied        = "died"
	restartHung        = "hung"
	restartStartFailed = "start_failed"
	restartChanged     = "changed"
	restartReloaded    = "reloaded"
)

type nobody struct{}

func (nobody) PluginUp(string, bool)                               {}
func (nobody) PluginRestarted(string, string)                      {}
func (nobody) BadAnswer(string, string)                            {}
func (nobody) OtherBackend(string)                                 {}
func (nobody) RPC(string, string, string, time.Duration)           {}
func (nobody) Identities(string) []string                          { return nil }
func (nobody) BackendChanged(string, lifecycle.BackendStatus)      {}
func (nobody) SandboxEvent(string, provider.Event)                 {}
func (nobody) EventsBroken(string)                                 {}
func (nobody) AcceptBackend(context.Context, string, string) error { return nil }
func (nobody) Reconcile(context.Context, string, provider.Provider) error {
	return nil
}
