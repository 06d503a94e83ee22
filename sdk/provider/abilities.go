package provider

import (
	"context"
	"time"
)

// Capability names something that a provider can do beyond the core verbs.
type Capability string

// The capabilities. Each stands for one optional interface in this file.
const (
	CapabilityLogs   Capability = "logs"   // LogReader
	CapabilityEvents Capability = "events" // EventSource
)

// CapabilitiesOf derives what p can do from the interfaces that it has, in a fixed
// order. A client of a remote provider, which has every method, says by a method
// Capabilities() []Capability what the other side can do.
func CapabilitiesOf(p Provider) []Capability {
	if r, ok := p.(interface{ Capabilities() []Capability }); ok {
		return r.Capabilities()
	}
	var caps []Capability
	if _, ok := p.(LogReader); ok {
		caps = append(caps, CapabilityLogs)
	}
	if _, ok := p.(EventSource); ok {
		caps = append(caps, CapabilityEvents)
	}
	return caps
}

// LogReader is an optional ability: read what a sandbox printed.
type LogReader interface {
	// Logs calls yield with each piece of output in order, stdout and stderr alike. It
	// returns at the end of the log or, with req.Follow, when the sandbox has ended.
	// It returns yield's error when there is one. Errors: NotFound, Unavailable.
	Logs(ctx context.Context, req LogsRequest, yield func(LogChunk) error) error
}

// LogsRequest names a log and how much of it is wanted.
type LogsRequest struct {
	ID     string
	Tail   int       // the last so many lines; 0 for all
	Since  time.Time // zero for the beginning
	Follow bool
}

// LogChunk is a piece of output: whole lines or a part of one, at most 64 KiB.
type LogChunk struct {
	Stderr bool
	Data   []byte
}

// EventSource is an optional ability: tell at once when something happened to a
// sandbox, and how far Prepare is with an image. Events are hints: the host asks Get for
// the truth, so a lost or a duplicate event does no harm, and none has to be invented. A
// provider drops progress rather than let it hold up a pull or the events of sandboxes.
type EventSource interface {
	// Events calls yield for each event from now on, until ctx is done or the stream
	// breaks; it then returns the reason, never nil. It calls ready once, when no later
	// event of a sandbox can be missed.
	Events(ctx context.Context, ready func(), yield func(Event) error) error
}

// EventKind is what happened.
type EventKind string

// The kinds of event.
const (
	EventStarted EventKind = "started"
	EventExited  EventKind = "exited"
	EventRemoved EventKind = "removed"

	// EventProgress tells how far Prepare is with making an image present.
	EventProgress EventKind = "progress"
)

// Event is a hint that a sandbox has changed, or tells how far Prepare is.
type Event struct {
	SandboxID string // "" for progress
	SessionID string // "" for progress, and when the backend does not tell
	Kind      EventKind
	At        time.Time

	Image   string // of progress: as the template names it
	Message string // of progress: one line for people
}
