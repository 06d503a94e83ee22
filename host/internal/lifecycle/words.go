package lifecycle

import "github.com/berth-dev/berth/host/internal/api"

// The words that callers see.
type (
	Session       = api.Session
	Status        = api.Status
	CreateRequest = api.CreateRequest
	ExtendRequest = api.ExtendRequest
	Filter        = api.Filter
	Event         = api.Event
	EventType     = api.EventType
	Error         = api.Error
	Code          = api.Code
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
