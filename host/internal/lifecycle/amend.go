package lifecycle

import (
	"context"
	"maps"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
)

// amend changes a session's record: f edits a copy, which is written to disk and then
// made visible. When f refuses, or the write fails, nothing has changed.
func (e *Engine) amend(ctx context.Context, s *session, f func(*lease.Record) error) error {
	return e.change(ctx, s, true, f, nil)
}

// amendAnyway is amend for what goes on also while the store can't write: the change is
// made visible all the same and written when that is possible again.
func (e *Engine) amendAnyway(s *session, f func(*lease.Record) error) error {
	return e.change(e.base, s, false, f, nil)
}

// amendVisible changes what is shown and leaves the disk as it is: for what a restart
// finds out again by itself.
func (e *Engine) amendVisible(s *session, f func(*lease.Record) error) error {
	if err := take(e.base, s.write); err != nil {
		return err
	}
	defer release(s.write)
	rec := s.record()
	if err := f(&rec); err != nil {
		return err
	}
	e.hub.publish(EventChanged, func() Session { return e.view(rec) }, func(seq uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rec, s.told = rec, seq
	})
	return nil
}

// change is what both have in common. also, when given, runs together with the
// change that it belongs to; s.mu is held then.
func (e *Engine) change(ctx context.Context, s *session, durable bool, f func(*lease.Record) error, also func()) error {
	if err := take(ctx, s.write); err != nil {
		return err
	}
	defer release(s.write)
	rec := s.record()
	if err := f(&rec); err != nil {
		return err
	}
	err := crash.Point("host.lease.writing")
	if err == nil {
		err = e.put(context.WithoutCancel(ctx), rec)
	}
	if err == nil {
		err = crash.Point("host.lease.written")
	}
	if err != nil {
		if durable {
			s.mu.Lock()
			s.unsaved = true // it may have landed; what is told is written again
			s.mu.Unlock()
			return err
		}
		e.log.Error("a lease could not be written; it is tried again", "session_id", s.id, "state", rec.State, "err", err)
	}
	e.show(s, rec, err != nil, also)
	return nil
}

// show tells the watchers of a record and makes it visible. s.write is held.
func (e *Engine) show(s *session, rec lease.Record, unsaved bool, also func()) {
	e.hub.publish(EventChanged, func() Session { return e.view(rec) }, func(seq uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rec, s.told, s.unsaved = rec, seq, unsaved
		if !unsaved {
			s.written = time.Now()
		}
		if also != nil {
			also()
		}
	})
}

// saveUnsaved writes the records that are newer than what is on disk, or may be, and asks a
// disk that hangs whether it still does. When the store can't write, the others would hear the
// same.
func (e *Engine) saveUnsaved(ctx context.Context) {
	if e.hangs.Load() && e.probe(ctx) != nil {
		return
	}
	for _, s := range e.all() {
		s.mu.Lock()
		unsaved := s.unsaved
		s.mu.Unlock()
		if unsaved && take(ctx, s.write) == nil {
			err := e.save(ctx, s)
			release(s.write)
			if class := provider.ClassOf(err); class == provider.Unavailable || class == provider.Canceled {
				return
			}
		}
	}
}

func (e *Engine) save(ctx context.Context, s *session) error {
	if !e.current(s) {
		return nil
	}
	if err := e.put(ctx, s.record()); err != nil {
		return err
	}
	s.mu.Lock()
	s.unsaved, s.written = false, time.Now()
	s.mu.Unlock()
	return nil
}

// view is a record as it is shown.
func (e *Engine) view(rec lease.Record) Session {
	v := Session{
		ID: rec.SessionID, ChatID: rec.ChatID, AgentID: rec.AgentID,
		Template: rec.Template, Provider: rec.Provider, SandboxID: rec.SandboxID,
		Status: Status(rec.State), CreatedAt: rec.CreatedAt, ExpiresAt: rec.ExpiresAt,
		VolumeHostPath: rec.VolumeHostPath, Metadata: maps.Clone(rec.Metadata),
	}
	if rec.Endpoint != nil && rec.State == lease.Running {
		ep := *rec.Endpoint
		v.Endpoint = &ep
	}
	if rec.Ended != nil {
		end := *rec.Ended
		v.Ended = &end
	} else if e.backendOf(rec).unknown(rec, time.Now()) {
		v.Status = StatusUnknown
	}
	return v
}
