package lease

import (
	"context"
	"time"
)

// Record is the durable side of one session: what was asked, what it was promised, and
// how far it has come. It is written before a create is sent, before an extension is
// acknowledged, and once more when the session has ended.
type Record struct {
	SessionID string `json:"session_id"` // UUID, lower case with hyphens
	ChatID    string `json:"chat_id"`
	AgentID   string `json:"agent_id,omitempty"`
	Template  string `json:"template"`
	Provider  string `json:"provider"`

	RequestHash    string            `json:"request_hash"`
	TTL            time.Duration     `json:"ttl"`                        // as asked, in nanoseconds; 0: the template's
	Volume         string            `json:"volume,omitempty"`           // as asked
	VolumeHostPath string            `json:"volume_host_path,omitempty"` // resolved
	Metadata       map[string]string `json:"metadata,omitempty"`

	CreatedAt time.Time `json:"created_at"` // whole microseconds, UTC
	ExpiresAt time.Time `json:"expires_at"` // the promised deadline, extensions included

	// FirstExpiresAt is the deadline that the sandbox bears, which never changes; zero in the
	// leases of hosts that did not keep it.
	FirstExpiresAt time.Time `json:"first_expires_at,omitzero"`

	SandboxName string    `json:"sandbox_name"`
	SandboxID   string    `json:"sandbox_id,omitempty"` // "" until the provider has answered
	Identity    string    `json:"identity,omitempty"`   // of the backend that holds it
	Endpoint    *Endpoint `json:"endpoint,omitempty"`
	Ready       Ready     `json:"ready"` // how readiness is told, kept for a recovery

	// Adopted says that the sandbox was made by another owner, or by none: then its owner's
	// label is SandboxOwner, "" for none, and not this host's.
	Adopted      bool   `json:"adopted,omitempty"`
	SandboxOwner string `json:"sandbox_owner,omitempty"`

	State  State  `json:"state"`
	Reason Reason `json:"reason,omitempty"` // of the teardown, once one is intended
	Cause  string `json:"cause,omitempty"`  // for people: why it failed, once it has
	Ended  *End   `json:"ended,omitempty"`  // set when State is ended
}

// Ready is how readiness is told: by an accepted TCP connection, by a 2xx answer to a
// GET of HTTP, or, when neither is asked for, by running.
type Ready struct {
	TCP     bool          `json:"tcp,omitempty"`
	HTTP    string        `json:"http,omitempty"` // a path
	Timeout time.Duration `json:"timeout,omitempty"`
}

// State is how far a session has come. See package lifecycle for the story.
type State string

// The states that are kept. "unknown" is a way to show a session, never kept.
const (
	Creating State = "creating"
	Running  State = "running"
	Stopping State = "stopping"
	Stopped  State = "stopped"
	Deleting State = "deleting"
	Ended    State = "ended"
)

// Store keeps records. Every method may be called concurrently.
type Store interface {
	// Birth tells when the store was made. A sandbox that is older has lost its record
	// with an earlier store.
	Birth() time.Time

	// All returns every record, in no order.
	All(ctx context.Context) ([]Record, error)

	// Put writes a record, replacing the one of the same session. When it returns nil
	// the record is on disk. An error is of class Unavailable, or Canceled when ctx was
	// done first; the record may or may not be there then, now or after a crash. The next
	// Put of the same session decides.
	Put(ctx context.Context, rec Record) error

	// Delete forgets a session's record; a missing one is success. Errors: as for Put.
	Delete(ctx context.Context, sessionID string) error

	// Close waits for the writes under way and releases the file.
	Close() error
}
