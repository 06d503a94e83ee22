package provider

import "time"

// State is what is observed of a sandbox.
type State string

// The states of a sandbox. A provider maps its backend's states on these; one that it
// does not know is StateUnknown, which the host never takes for an end.
const (
	StateCreated State = "created" // made, never started
	StateRunning State = "running"
	StatePaused  State = "paused" // frozen from outside; it can go on
	StateExited  State = "exited" // its process has ended
	StateUnknown State = "unknown"
)

// Sandbox is what is observed of one sandbox.
type Sandbox struct {
	ID    string // one incarnation
	Name  string
	State State

	Owner       string // "" when it bears none
	SessionID   string
	ChatID      string
	AgentID     string
	Template    string
	RequestHash string

	CreatedAt      time.Time // the backend's creation time
	ExpiresAt      time.Time // the first deadline, as written on it
	VolumeHostPath string

	Endpoint *Endpoint // nil unless it runs and has one
	Exit     *Exit     // nil unless it has ended and the call inspected it (Get, not List)

	// Unreadable says which of its labels can't be read, and why; the fields that come
	// from labels then hold what could be read. Only Get sets it: List leaves such a
	// sandbox out.
	Unreadable string
}

// Endpoint is where the agent's service answers.
type Endpoint struct {
	IP   string
	Port int
}

// Exit is how a sandbox's process ended.
type Exit struct {
	Code      int
	OOMKilled bool
	At        time.Time // zero when the backend does not tell
}

// Fence says whose sandbox the caller means, so that a stale call can't hit another
// incarnation or somebody else's sandbox. A provider refuses with Conflict when the
// sandbox's owner or session label is present and differs. A sandbox without an owner
// label is touched only when Adopted is set.
type Fence struct {
	Owner     string
	SessionID string
	Adopted   bool
}

// StopRequest asks to stop one sandbox.
type StopRequest struct {
	ID    string
	Fence Fence
	Grace time.Duration // between the polite signal and the forced one
}

// DeleteRequest asks to remove one sandbox.
type DeleteRequest struct {
	ID    string
	Fence Fence
}
