package provider

import "context"

// Provider runs sandboxes on one kind of runtime. The host is its only caller and
// owns time: a provider never decides that a sandbox has lived long enough.
//
// A sandbox is created once and deleted once. Delete may be called in any state,
// any number of times, and by a host that has forgotten everything but the id.
//
// Optional abilities are further interfaces in this package ([LogReader],
// [EventSource]); the host finds them by type assertion, and a provider claims them
// by having the methods. See [CapabilitiesOf].
type Provider interface {
	// Prepare makes the image of a coming sandbox present and says what it is. It may
	// take as long as the context allows (a pull), must be safe to call again, and
	// makes nothing that would need a clean-up.
	//
	// Errors: NotFound (no such image), Unavailable, InvalidArgument, Unsupported.
	Prepare(ctx context.Context, req PrepareRequest) (Prepared, error)

	// Create makes the sandbox of spec and starts it. It is idempotent on spec.Name:
	// where that name is taken, the provider looks. Same owner, session and request
	// hash, and running: that sandbox is the answer, with the outcome "adopted". The
	// same but not running: it is removed by its id and made once more. Anything else
	// is Conflict, and nothing is touched.
	//
	// When Create fails, nothing of this sandbox is left, also when ctx is already
	// done; the error then carries the last lines that the sandbox printed.
	//
	// Errors: InvalidArgument, Unsupported, Conflict, Unavailable, Exhausted, Internal.
	Create(ctx context.Context, spec Spec) (Created, error)

	// Get observes one sandbox, by its id or by the name it was created with. A
	// missing one is NotFound, and NotFound is said only by a backend that answered.
	// A sandbox whose labels can't be read is answered with Sandbox.Unreadable set.
	Get(ctx context.Context, ref Ref) (Sandbox, error)

	// List observes every sandbox that bears a session's labels, whoever owns it and
	// whatever its state, in one call of the backend. It calls yield for each, from
	// one goroutine, and returns yield's error when there is one. A nil error means
	// that the list was complete. What can't be read is left out of the yielded
	// sandboxes and told in the summary. An error is never an empty list.
	List(ctx context.Context, yield func(Sandbox) error) (ListSummary, error)

	// Stop ends what runs in the sandbox and keeps the sandbox: politely, then by
	// force after req.Grace. A missing sandbox is the outcome "not_found".
	//
	// Errors: Conflict when the fence does not fit (see [Fence]), Unavailable, Internal.
	Stop(ctx context.Context, req StopRequest) (Stopped, error)

	// Delete removes the sandbox by force, at once, from any state. A missing sandbox
	// is the outcome "not_found".
	//
	// Errors: as for Stop.
	Delete(ctx context.Context, req DeleteRequest) (Deleted, error)

	// Health tells how the backend is now. It answers within a second or two also when
	// the backend does not: then with Health.Available false, or Unavailable.
	Health(ctx context.Context) (Health, error)

	// Identity tells which backend this is, by an id that no other backend has and
	// that survives its restart (Docker: the engine's ID and its root directory). It
	// asks the backend; it does not answer from memory across a reconnect.
	Identity(ctx context.Context) (string, error)
}

// PrepareRequest names what a coming sandbox needs.
type PrepareRequest struct {
	Image  string // the image as the template names it
	Config []byte // the sandbox schema's values, a JSON object; see [Spec.Config]
}

// Prepared is what is known of an image that is present.
type Prepared struct {
	Digest string // "sha256:…" of the repository digest; the image's id where it has none
	User   string // "uid:gid" that the sandbox's process will have; "" when it is given by name
}

// Outcome is what a call did. Its values are stable: they are metric labels.
type Outcome string

// The outcomes. Each verb's result says which it may have.
const (
	OutcomeCreated  Outcome = "created"
	OutcomeAdopted  Outcome = "adopted"
	OutcomeStopped  Outcome = "stopped"
	OutcomeDeleted  Outcome = "deleted"
	OutcomeNotFound Outcome = "not_found"
)

// Created is the answer to Create.
type Created struct {
	Outcome  Outcome // created or adopted
	Sandbox  Sandbox // running, with its endpoint where the Spec has a port
	Identity string  // of the backend that runs it; see [Provider.Identity]
}

// Stopped is the answer to Stop.
type Stopped struct {
	Outcome Outcome // stopped (also when it was already) or not_found
	Exit    *Exit   // how its process ended, where the backend tells
}

// Deleted is the answer to Delete.
type Deleted struct {
	Outcome Outcome // deleted or not_found
}

// Ref names one sandbox. ID wins; Name is for a host that never heard the id.
type Ref struct {
	ID   string
	Name string // [Spec.Name]
}

// ListSummary ends a complete list.
type ListSummary struct {
	Total      int          // sandboxes that the backend returned
	Unreadable []Unreadable // those left out, because their labels can't be read
}

// Unreadable is a sandbox that bears a session's labels with values that can't be read.
type Unreadable struct {
	ID     string
	Owner  string // "" when it bears no owner
	Reason string // which label, and what is wrong with it
}

// Health is how a backend is now.
type Health struct {
	Available   bool
	Message     string       // for people: why it is not available
	Version     string       // of the backend, for people
	Identity    string       // see [Provider.Identity]; "" when not available
	Limitations []Limitation // what it can't enforce, as of now
}

// Limitation is something that this backend can't do or enforce here.
type Limitation struct {
	Name   string // snake case: "swap", "pids", …
	Reason string
}
