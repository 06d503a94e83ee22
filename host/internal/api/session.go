package api

import "time"

// Status is how a session is shown: one of the lease's states, or unknown.
type Status string

// The statuses.
const (
	StatusCreating Status = "creating"
	StatusRunning  Status = "running"
	StatusStopping Status = "stopping"
	StatusStopped  Status = "stopped"
	StatusDeleting Status = "deleting"
	StatusEnded    Status = "ended"
	StatusUnknown  Status = "unknown" // its provider can't be asked; the state under it is kept
)

// Session is one chat's hold on one sandbox, as it is at one moment.
type Session struct {
	ID             string
	ChatID         string
	AgentID        string
	Template       string
	Provider       string
	SandboxID      string // "" until the provider has answered
	Status         Status
	CreatedAt      time.Time // zero until the image is prepared
	ExpiresAt      time.Time // likewise
	VolumeHostPath string
	Metadata       map[string]string
	Endpoint       *Endpoint
	Ended          *End // set when Status is ended
}

// Endpoint is where the agent's service answers.
type Endpoint struct {
	IP   string `json:"ip"`
	Port int    `json:"port"`
}

// Reason is why a session ended, or is being torn down.
type Reason string

// The reasons.
const (
	ReasonExpired   Reason = "expired"    // its deadline passed
	ReasonDeleted   Reason = "deleted"    // somebody asked
	ReasonExited    Reason = "exited"     // its process ended by itself
	ReasonOOMKilled Reason = "oom_killed" // the kernel ended it for memory
	ReasonRemoved   Reason = "removed"    // somebody else removed it
	ReasonFailed    Reason = "failed"     // it never came to run
	ReasonLost      Reason = "lost"       // its backend is gone for good, so the operator said
)

// End is how a session ended.
type End struct {
	Reason    Reason    `json:"reason"`
	ExitCode  *int      `json:"exit_code"` // nil when nobody saw it
	OOMKilled bool      `json:"oom_killed"`
	At        time.Time `json:"at"`
	Message   string    `json:"message,omitempty"` // for people: the error of a failed create
}
