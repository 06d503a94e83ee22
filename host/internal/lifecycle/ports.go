package lifecycle

import (
	"context"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// Backend is one provider as the engine sees it: its verbs on the current generation,
// and what the supervisor knows of it. The supervisor implements it.
//
// A call fails at once with provider.Unavailable, and the provider's last error in the
// text, while there is no generation to make it on. Get, List, Stop, Delete and Prepare
// are tried once more on the next generation when theirs dies under them, within the
// caller's deadline; Create never is.
type Backend interface {
	provider.Provider

	// Status is what is known now. It never blocks.
	Status() BackendStatus

	// WaitReady returns when the provider is READY, or with Unavailable and the
	// provider's last error when ctx is done.
	WaitReady(ctx context.Context) error
}

// BackendState is a state of the supervisor's machine.
type BackendState string

// The states. Only in Ready are sandboxes created; in Degraded the other verbs are
// tried, unless the backend has changed.
const (
	Starting      BackendState = "starting"
	Reconciling   BackendState = "reconciling"
	Ready         BackendState = "ready"
	Degraded      BackendState = "degraded"
	Backoff       BackendState = "backoff"
	Misconfigured BackendState = "misconfigured"
	Stopped       BackendState = "stopped"
)

// BackendStatus is what is known of a provider.
type BackendStatus struct {
	State      BackendState
	Since      time.Time // of the state
	ReadyUntil time.Time // when it was last READY; zero: it is, or never was
	Err        error     // the last error; nil when READY
	Identity   string    // the backend's, as last told; "" when it never was
	Changed    bool      // Degraded because the backend is another than the leases'
	Generation int       // 1 is the first life of the plugin
}

// Supervised is what the supervisor asks of the engine.
type Supervised interface {
	// Identities tells which backends hold the provider's living sessions, by their
	// leases. The supervisor compares them with the backend's own answer.
	Identities(providerName string) []string

	// Reconcile makes the list of a new generation and what is known agree. Until it has
	// returned nil, nothing is created on that generation. p is that generation's.
	Reconcile(ctx context.Context, providerName string, p provider.Provider) error

	// AcceptBackend is told that the operator has accepted a backend in the place of the
	// one that holds the provider's sessions. Those of another backend end as lost.
	AcceptBackend(ctx context.Context, providerName, identity string) error

	// BackendChanged is told after each change of the provider's status. It returns at once.
	BackendChanged(providerName string, status BackendStatus)

	// SandboxEvent is told of each event of the provider. It returns at once.
	SandboxEvent(providerName string, ev provider.Event)

	// EventsBroken is told when an event stream broke, so that events may be missing.
	// It returns at once.
	EventsBroken(providerName string)
}

// Template makes Specs. The host implements it over the configuration.
type Template interface {
	Name() string
	Provider() string
	TTL() time.Duration
	Limits() TemplateLimits
	Ready() lease.Ready

	// Image tells what Prepare is to make present.
	Image() provider.PrepareRequest

	// CheckVolume resolves a request's volume, or refuses it with InvalidArgument. It
	// changes nothing.
	CheckVolume(volume string) (resolved string, err error)

	// Spec evaluates the template for one session and makes the directories that it
	// asks for. Name, Owner, RequestHash and ConfirmStart are the engine's. Errors:
	// InvalidArgument, Internal.
	Spec(ctx context.Context, in SpecInput) (provider.Spec, error)
}

// TemplateLimits are a template's own; 0 is none.
type TemplateLimits struct {
	Sessions         int
	SessionsPerAgent int
}

// SpecInput is what a Spec depends on beside its template.
type SpecInput struct {
	SessionID, ChatID, AgentID string
	Volume, VolumeHostPath     string // as asked; resolved
	CreatedAt, ExpiresAt       time.Time
	Prepared                   provider.Prepared
}

// Prober tells when a sandbox's agent answers.
type Prober interface {
	// Probe returns nil once the endpoint answers as ready asks, trying at once and then
	// in steps from 1 to 100 ms. When ctx is done it returns the last failure.
	Probe(ctx context.Context, endpoint lease.Endpoint, ready lease.Ready) error
}

// Observer hears of what the engine does, for metrics and traces. Every method returns
// at once and may be called concurrently.
type Observer interface {
	// Operation begins one operation on a provider: "create", "stop", "delete" or
	// "list_active". The context that it returns carries the operation's span.
	Operation(ctx context.Context, providerName, operation string, ids OperationIDs) (context.Context, Operation)

	// Ended counts a session's end.
	Ended(providerName string, reason lease.Reason)

	// ExpiryLag is the time from a deadline to the start of its teardown.
	ExpiryLag(providerName string, lag time.Duration)

	// BadAnswer counts an answer of the provider that can't be true, by the verb. It was
	// not believed.
	BadAnswer(providerName, method string)

	// Orphan counts a sandbox without a session, once per sandbox: "deleted", "adopted",
	// "foreign" or "unreadable".
	Orphan(providerName, action string)
}

// Operation is one operation under way. Done is called once, from the goroutine that
// began it.
type Operation interface {
	// Call begins a call to the provider, and the function that it returns ends it. An
	// operation takes as long as its calls: what the host does beside them is not counted.
	Call() (end func())

	// Done ends the operation with its outcome, or with the error.
	Done(result string, err error)
}

// OperationIDs are what an operation is about; each may be empty.
type OperationIDs struct {
	SessionID, ChatID, SandboxID string
}
