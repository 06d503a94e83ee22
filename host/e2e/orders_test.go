package e2e

import (
	"errors"
	"time"

	"github.com/berth-dev/berth/host"
)

// order is a line on a host process's standard input.
type order struct {
	ID      int
	Verb    string // create, ensure, get, list, extend, stop, delete, providers, ready, about, watch, fill, room
	Within  time.Duration
	Session string
	Create  host.CreateRequest
	Extend  host.ExtendRequest
	Filter  host.Filter
	Path    string // of the disk to fill, or to make room on
}

// reply is a line on its standard output. A watch has many.
type reply struct {
	ID        int // 0 is the first line, sent when the host runs or could not be made
	Session   *host.Session
	Sessions  []host.Session
	Providers []host.ProviderStatus
	Event     *host.Event
	Owner     string
	Metrics   string
	Err       *fault
}

// fault is an error on its way out of the host process.
type fault struct {
	Code              host.Code
	Text              string
	ChatID, SessionID string
	Session           *host.Session
}

func (f *fault) Error() string { return f.Text }

func (f *fault) Is(target error) bool {
	code, ok := target.(host.Code)
	return ok && code == f.Code
}

func faultOf(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{Text: err.Error()}
	var e *host.Error
	if errors.As(err, &e) {
		f.Code, f.ChatID, f.SessionID, f.Session = e.Code, e.ChatID, e.SessionID, e.Session
	}
	return f
}
