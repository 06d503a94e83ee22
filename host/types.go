package host

import "github.com/berth-dev/berth/host/internal/lease"
import "github.com/berth-dev/berth/host/internal/lifecycle"

// What the host and its engine share.
type (
	// Session is one chat's hold on one sandbox, as it is at one moment.
	Session = lifecycle.Session
	// Status is how a session is shown.
	Status = lifecycle.Status
	// Endpoint is where the agent's service answers.
	Endpoint = lease.Endpoint
	// End is how a session ended.
	End = lease.End
	// Reason is why a session ended.
	Reason = lease.Reason
	// CreateRequest asks for a session.
	CreateRequest = lifecycle.CreateRequest
	// ExtendRequest pushes a deadline later.
	ExtendRequest = lifecycle.ExtendRequest
	// Filter selects sessions.
	Filter = lifecycle.Filter
	// Event is what a watcher is told.
	Event = lifecycle.Event
	// EventType says what an Event tells.
	EventType = lifecycle.EventType
	// Error is a failure of one verb.
	Error = lifecycle.Error
	// Code is the stable code of an Error.
	Code = lifecycle.Code
)

// The statuses.
const (
	StatusCreating = lifecycle.StatusCreating
	StatusRunning  = lifecycle.StatusRunning
	StatusStopping = lifecycle.StatusStopping
	StatusStopped  = lifecycle.StatusStopped
	StatusDeleting = lifecycle.StatusDeleting
	StatusEnded    = lifecycle.StatusEnded
	StatusUnknown  = lifecycle.StatusUnknown
)

// The reasons for an end.
const (
	ReasonExpired   = lease.Expired
	ReasonDeleted   = lease.Deleted
	ReasonExited    = lease.Exited
	ReasonOOMKilled = lease.OOMKilled
	ReasonRemoved   = lease.Removed
	ReasonFailed    = lease.Failed
	ReasonLost      = lease.Lost
)

// The types of event.
const (
	EventSnapshot = lifecycle.EventSnapshot
	EventSynced   = lifecycle.EventSynced
	EventChanged  = lifecycle.EventChanged
	EventPruned   = lifecycle.EventPruned
	EventResync   = lifecycle.EventResync
)

// The codes.
const (
	CodeSandboxStartFailed = lifecycle.CodeSandboxStartFailed
	CodeSandboxStopFailed  = lifecycle.CodeSandboxStopFailed
	CodeSandboxListFailed  = lifecycle.CodeSandboxListFailed
	CodeNotFound           = lifecycle.CodeNotFound
	CodeConflict           = lifecycle.CodeConflict
	CodeResourceExhausted  = lifecycle.CodeResourceExhausted
	CodeUnavailable        = lifecycle.CodeUnavailable
	CodeInvalidArgument    = lifecycle.CodeInvalidArgument
	CodeUnsupported        = lifecycle.CodeUnsupported
	CodeInternal           = lifecycle.CodeInternal
)
