package client

import (
	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

// What package host has too: these are the same types.
type (
	// Session is one chat's hold on one sandbox, as it is at one moment.
	Session = api.Session
	// Status is how a session is shown.
	Status = api.Status
	// Endpoint is where the agent's service answers.
	Endpoint = api.Endpoint
	// End is how a session ended.
	End = api.End
	// Reason is why a session ended.
	Reason = api.Reason
	// CreateRequest asks for a session.
	CreateRequest = api.CreateRequest
	// ExtendRequest pushes a deadline later.
	ExtendRequest = api.ExtendRequest
	// Filter selects sessions.
	Filter = api.Filter
	// LogsRequest says how much of a sandbox's output is wanted.
	LogsRequest = api.LogsRequest
	// LogChunk is a piece of a sandbox's output.
	LogChunk = api.LogChunk
	// Event is what a watcher is told.
	Event = api.Event
	// EventType says what an Event tells.
	EventType = api.EventType
	// Progress tells how far a provider is with making an image present.
	Progress = api.Progress
	// Error is a failure of one verb.
	Error = api.Error
	// Code is the stable code of an Error.
	Code = api.Code
)

type (
	// Provider is one provider as it is at one moment, as the API shows it.
	Provider = convert.Provider
	// Limitation is something that a backend can't do or enforce.
	Limitation = convert.Limitation
)

// The statuses.
const (
	StatusCreating = api.StatusCreating
	StatusRunning  = api.StatusRunning
	StatusStopping = api.StatusStopping
	StatusStopped  = api.StatusStopped
	StatusDeleting = api.StatusDeleting
	StatusEnded    = api.StatusEnded
	StatusUnknown  = api.StatusUnknown
)

// The reasons for an end.
const (
	ReasonExpired   = api.ReasonExpired
	ReasonDeleted   = api.ReasonDeleted
	ReasonExited    = api.ReasonExited
	ReasonOOMKilled = api.ReasonOOMKilled
	ReasonRemoved   = api.ReasonRemoved
	ReasonFailed    = api.ReasonFailed
	ReasonLost      = api.ReasonLost
)

// The types of event.
const (
	EventSnapshot = api.EventSnapshot
	EventSynced   = api.EventSynced
	EventChanged  = api.EventChanged
	EventPruned   = api.EventPruned
	EventProgress = api.EventProgress
	EventResync   = api.EventResync
)

// The codes.
const (
	CodeSandboxStartFailed = api.CodeSandboxStartFailed
	CodeSandboxStopFailed  = api.CodeSandboxStopFailed
	CodeSandboxListFailed  = api.CodeSandboxListFailed
	CodeNotFound           = api.CodeNotFound
	CodeConflict           = api.CodeConflict
	CodeResourceExhausted  = api.CodeResourceExhausted
	CodeUnavailable        = api.CodeUnavailable
	CodeInvalidArgument    = api.CodeInvalidArgument
	CodeUnsupported        = api.CodeUnsupported
	CodeInternal           = api.CodeInternal
)
