package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"connectrpc.com/connect"
	"github.com/cenkalti/backoff/v5"

	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// How long Watch waits before it tries again: at first, and at most. Half of it and half
// of it more are left to chance.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// Watch yields a snapshot, terminal records included, then synced, then an event for each
// change, until ctx is done or the client is closed. It goes on by itself when the
// connection breaks, when the host starts again, and when it read too slowly. It then has
// missed events, and says so with one resync, after which the new snapshot comes: whoever
// keeps what Watch has told drops it at a resync, and takes what follows. Without a host
// it waits for one; see WithOnDisconnect.
//
// A new host counts its events anew, so that Seq grows from one resync to the next only.
//
// Unlike the host's, the sequence goes on after a resync. A program that may have either
// drops what it knows at a resync, and watches again when a sequence ends and ctx has not.
func (c *Client) Watch(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		pause := &backoff.ExponentialBackOff{InitialInterval: retryFirst, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: retryMost}
		told := false // something that the next stream may not bear out
		tell := func(ev Event, first bool) bool {
			if first && told && !yield(Event{Type: EventResync}) {
				return false
			}
			told = true
			if ev.Type == EventSynced {
				pause.Reset()
			}
			return yield(ev)
		}
		for ctx.Err() == nil {
			err := c.watchOnce(ctx, tell)
			if errors.Is(err, errLeft) || ctx.Err() != nil || c.link.isClosed() {
				return
			}
			if !errors.Is(err, errBehind) {
				c.onDisconnect(c.failed(ctx, "watch", err))
			}
			wait := time.NewTimer(pause.NextBackOff())
			select {
			case <-ctx.Done():
			case <-c.link.done:
			case <-wait.C:
			}
			wait.Stop()
		}
	}
}

var (
	errLeft   = errors.New("the watcher has left")
	errBehind = errors.New("the watcher has missed events")
	errEnded  = connect.NewError(connect.CodeUnavailable, errors.New("the host ended the watch"))
)

// watchOnce reads one stream until it ends, and says why it did. It is never nil.
func (c *Client) watchOnce(ctx context.Context, tell func(ev Event, first bool) bool) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	stream, err := c.sessions.WatchSessions(ctx, connect.NewRequest(&controlv1.WatchSessionsRequest{}))
	if err != nil {
		return err
	}
	defer stream.Close()
	for first := true; stream.Receive(); first = false {
		ev := convert.EventFromProto(stream.Msg())
		switch {
		case ev.Type == EventResync:
			return errBehind
		case !tell(ev, first):
			return errLeft
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	return errEnded
}
