package docker

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/berth-dev/berth/sdk/provider"
)

// Events tells what the daemon tells of containers with a session label, and how far
// pulls are; see [provider.EventSource].
func (p *Provider) Events(ctx context.Context, ready func(), yield func(provider.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	want := filters.NewArgs(
		filters.Arg("type", string(events.ContainerEventType)),
		filters.Arg("label", labelSessionID),
	)
	for action := range eventKinds {
		want.Add("event", string(action))
	}
	// The daemon answers a moment before it listens; "since" closes the gap, at the
	// price of a duplicate now and then.
	now := time.Now()
	since := fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond())
	listening := false
	messages, errs := p.daemon.client().Events(
		onAnswer(ctx, "/events", func(status int) { listening = status == http.StatusOK }),
		events.ListOptions{Since: since, Filters: want})
	defer func() {
		cancel()
		for range errs { // closed when the client's goroutine has ended
		}
	}()
	reader := p.progress.open()
	defer p.progress.close(reader)
	if !listening {
		return p.failure(ctx, "events", "", "", "the daemon's events can't be had", <-errs)
	}
	ready()
	for {
		select {
		case m := <-messages:
			if err := yield(eventOf(m)); err != nil {
				return err
			}
		case <-reader.more:
			for _, ev := range p.progress.take(reader) {
				if err := yield(ev); err != nil {
					return err
				}
			}
		case err := <-errs:
			return p.failure(ctx, "events", "", "", "the daemon's events broke off", err)
		}
	}
}

// eventKinds are the daemon's events that matter. A kill for memory may be of a process
// that is not the sandbox's first: as a hint it is worth a look.
var eventKinds = map[events.Action]provider.EventKind{
	events.ActionStart:   provider.EventStarted,
	events.ActionDie:     provider.EventExited,
	events.ActionOOM:     provider.EventExited,
	events.ActionDestroy: provider.EventRemoved,
}

// eventOf makes an event of the daemon's. The session is told in canonical form, whatever
// the label's spelling, and not at all where that can't be read.
func eventOf(m events.Message) provider.Event {
	session, _ := readUUID(m.Actor.Attributes[labelSessionID])
	return provider.Event{
		SandboxID: m.Actor.ID,
		SessionID: session,
		Kind:      eventKinds[m.Action],
		At:        time.Unix(0, m.TimeNano).UTC(),
	}
}
