package api

import (
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// The limits of what a request may carry. What is over one is refused.
const (
	MaxAgentID       = 256      // bytes
	MaxVolume        = 4096     // bytes
	MaxMetadataItems = 64       //
	MaxMetadataKey   = 128      // bytes
	MaxMetadataBytes = 16 << 10 // of all keys and values
)

// CreateRequest asks for a session.
type CreateRequest struct {
	// SessionID is the caller's, a UUID in any spelling, so that a call whose answer was
	// lost can be made again. Empty: one is made, and a caller who leaves before the
	// answer leaves nothing behind.
	SessionID string
	ChatID    string        // a UUID in any spelling
	AgentID   string        // free text without control characters, at most 256 bytes; may be empty
	Template  string        // the name of a template
	Volume    string        // a host directory inside one of volume_roots; may be empty
	TTL       time.Duration // from the end of Prepare; zero: the template's
	Metadata  map[string]string
}

// ExtendRequest pushes a deadline later: by a duration, or until a time. Exactly one of
// By and Until is set.
type ExtendRequest struct {
	By    time.Duration // from the deadline as it is
	Until time.Time

	// Seen is the deadline that the caller saw, for By: when the session has another one
	// by now, the answer is Conflict with the session, so that a call made again can't
	// add twice. Zero: not checked.
	Seen time.Time
}

// Filter selects sessions; an empty field selects all.
type Filter struct {
	ChatID   string // a UUID in any spelling
	AgentID  string
	Template string
	Status   Status
	All      bool // terminal records too; asking for the status ended implies it
}

// Page selects a part of a list, which is in the order of creation.
type Page struct {
	Size  int    // at most so many
	After Cursor // zero: from the beginning
}

// Cursor is a place in a list: behind the session that it names, which may be gone.
type Cursor struct {
	CreatedAt time.Time
	ID        string
}

// LogsRequest says how much of a sandbox's output is wanted.
type LogsRequest struct {
	Tail   int  // the last so many lines; 0: all
	Follow bool // go on until the sandbox has ended
}

// LogChunk is a piece of output: whole lines or a part of one, at most 64 KiB.
type LogChunk = provider.LogChunk
