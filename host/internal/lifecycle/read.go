package lifecycle

import (
	"context"
	"iter"
	"slices"

	"github.com/berth-dev/berth/host/internal/lease"
)

// Get answers from memory, for living sessions and for terminal records. It asks no
// provider. Errors: CodeInvalidArgument, CodeNotFound.
func (e *Engine) Get(id string) (Session, error) {
	s, err := e.lookup("get", id)
	if err != nil {
		return Session{}, err
	}
	return e.view(s.record()), nil
}

// List answers from memory, oldest first. It asks no provider. Errors:
// CodeInvalidArgument.
func (e *Engine) List(f Filter) ([]Session, error) {
	want, err := selects(f)
	if err != nil {
		return nil, err
	}
	return e.snapshot(want), nil
}

// selects checks a filter and makes a function of it.
func selects(f Filter) (func(Session) bool, error) {
	if f.ChatID != "" {
		id, err := canonicalID(f.ChatID)
		if err != nil {
			return nil, invalid("list", "chat_id", err.Error())
		}
		f.ChatID = id
	}
	known := []Status{"", StatusCreating, StatusRunning, StatusStopping, StatusStopped, StatusDeleting, StatusEnded, StatusUnknown}
	if !slices.Contains(known, f.Status) {
		return nil, invalid("list", "status", "\""+clip(string(f.Status), 64)+"\" is none; give one of creating, running, stopping, stopped, deleting, ended, unknown")
	}
	return func(v Session) bool {
		return (f.All || f.Status == StatusEnded || v.Status != StatusEnded) &&
			(f.ChatID == "" || v.ChatID == f.ChatID) &&
			(f.AgentID == "" || v.AgentID == f.AgentID) &&
			(f.Template == "" || v.Template == f.Template) &&
			(f.Status == "" || v.Status == f.Status)
	}, nil
}

// Watch yields a snapshot, terminal records included, then synced, then an event for
// each change, until ctx is done. Nothing ends unseen by a watcher who keeps up; one who
// lags 1,024 events behind gets resync, and the sequence ends.
func (e *Engine) Watch(ctx context.Context) iter.Seq[Event] { return e.hub.watch(ctx, e.standings) }

// standings yields every session, oldest first, each as it is when its turn comes. It holds
// no lock meanwhile.
func (e *Engine) standings() iter.Seq[standing] {
	return func(yield func(standing) bool) {
		type entry struct {
			place
			*session
		}
		var list []entry
		for _, s := range e.all() {
			list = append(list, entry{placeOf(s.record()), s})
		}
		slices.SortFunc(list, func(a, b entry) int { return a.place.compare(b.place) })
		for _, l := range list {
			l.session.mu.Lock()
			rec, told := l.session.rec, l.session.told
			l.session.mu.Unlock()
			if !yield(standing{e.view(rec), told}) {
				return
			}
		}
	}
}

func (e *Engine) snapshot(want func(Session) bool) []Session {
	list := []Session{}
	for st := range e.standings() {
		if want(st.view) {
			list = append(list, st.view)
		}
	}
	return list
}

// Count is how many sessions share provider, template and status.
type Count struct {
	Provider, Template string
	Status             Status
	N                  int
}

// Counts tells how many living sessions there are.
func (e *Engine) Counts() []Count {
	type key struct {
		provider, template string
		status             Status
	}
	n := map[key]int{}
	for _, s := range e.all() {
		if rec := s.record(); rec.State != lease.Ended {
			n[key{rec.Provider, rec.Template, e.view(rec).Status}]++
		}
	}
	list := make([]Count, 0, len(n))
	for k, c := range n {
		list = append(list, Count{k.provider, k.template, k.status, c})
	}
	return list
}

// Identities tells which backends hold the provider's living sessions.
func (e *Engine) Identities(providerName string) []string {
	ids := []string{}
	for _, s := range e.all() {
		rec := s.record()
		if rec.Provider == providerName && rec.State != lease.Ended && rec.Identity != "" && !slices.Contains(ids, rec.Identity) {
			ids = append(ids, rec.Identity)
		}
	}
	return ids
}
