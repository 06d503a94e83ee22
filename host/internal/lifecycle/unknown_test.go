package lifecycle_test

import (
	"errors"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
)

func TestUnknown(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		w.create(id1)
		events := w.watch()
		w.sup.away()
		w.pass(5*time.Second - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		if s := w.status(id1, lifecycle.StatusUnknown); s.Endpoint == nil {
			t.Error("what is known of it is not shown")
		}
		if got := story(events(), id1); got != "unknown" {
			t.Error(got)
		}
		list, err := w.engine.List(lifecycle.Filter{Status: lifecycle.StatusUnknown})
		if err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
		if c := w.engine.Counts(); len(c) != 1 || c[0].Status != lifecycle.StatusUnknown || c[0].N != 1 {
			t.Errorf("%+v", c)
		}
		w.sup.back()
		w.pass(0)
		w.status(id1, lifecycle.StatusRunning)
		if got := story(events(), id1); got != "unknown running" {
			t.Error(got)
		}

		// At once when the backend is another one, and nothing of it is touched.
		w.sup.stop(errors.New("died"))
		w.pass(time.Second)
		w.status(id1, lifecycle.StatusRunning)
		w.mem.SetIdentity("B")
		if err := w.sup.start(); err == nil {
			t.Fatal("another backend was accepted")
		}
		w.pass(0)
		w.status(id1, lifecycle.StatusUnknown)
		if got := story(events(), id1); got != "unknown running unknown" {
			t.Error(got)
		}
		failed(t, w.engine.Delete(t.Context(), id1), lifecycle.CodeUnavailable, "backend changed")
		_, err = w.engine.Create(t.Context(), request(id2))
		failed(t, err, lifecycle.CodeUnavailable, "backend changed")
		w.pass(20 * time.Hour) // its deadline too
		w.status(id1, lifecycle.StatusUnknown)
		w.boxes(1)
		w.mem.SetIdentity("A")
		w.must(w.sup.start())
		w.pass(0)
		w.ended(id1, lease.Deleted)
		w.boxes(0)
	})
}

func TestIdentities(t *testing.T) {
	longBubble(t, func(t *testing.T, w *world) {
		if ids := w.engine.Identities("mem"); len(ids) != 0 {
			t.Error(ids)
		}
		w.create(id1)
		w.create(id2)
		if ids := w.engine.Identities("mem"); len(ids) != 1 || ids[0] != "A" {
			t.Error(ids)
		}
		if ids := w.engine.Identities("other"); len(ids) != 0 {
			t.Error(ids)
		}
		w.must(w.engine.Delete(t.Context(), id1))
		w.must(w.engine.Delete(t.Context(), id2))
		if ids := w.engine.Identities("mem"); len(ids) != 0 {
			t.Error(ids)
		}
	})
}
