package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func by(d time.Duration) lifecycle.ExtendRequest { return lifecycle.ExtendRequest{By: d} }
func until(at time.Time) lifecycle.ExtendRequest { return lifecycle.ExtendRequest{Until: at} }
func (w *world) extendLater(id string, req lifecycle.ExtendRequest) <-chan result {
	return later(func() (lifecycle.Session, error) { return w.engine.Extend(context.Background(), id, req) })
}

func TestExtend(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		got, err := w.engine.Extend(t.Context(), id1, by(time.Minute))
		w.must(err)
		if !got.ExpiresAt.Equal(s.ExpiresAt.Add(time.Minute)) {
			t.Errorf("%v + 1m is %v", s.ExpiresAt, got.ExpiresAt)
		}
		if rec := record(t, w.store, id1); !rec.ExpiresAt.Equal(got.ExpiresAt) || rec.State != lease.Running {
			t.Errorf("the lease says %v", rec.ExpiresAt)
		}
		// The same again, with what was seen before: it can't add twice.
		twice := lifecycle.ExtendRequest{By: time.Minute, Seen: s.ExpiresAt}
		_, err = w.engine.Extend(t.Context(), id1, twice)
		e := failed(t, err, lifecycle.CodeConflict, "the deadline of session "+id1+" is ")
		if e.Session == nil || !e.Session.ExpiresAt.Equal(got.ExpiresAt) {
			t.Errorf("%+v", e)
		}
		twice.Seen = got.ExpiresAt
		got, err = w.engine.Extend(t.Context(), id1, twice)
		w.must(err)

		at := s.ExpiresAt.Add(10*time.Minute + 500*time.Nanosecond)
		got, err = w.engine.Extend(t.Context(), id1, until(at.In(time.FixedZone("x", 3600))))
		w.must(err)
		if want := s.ExpiresAt.Add(10 * time.Minute); !got.ExpiresAt.Equal(want) || got.ExpiresAt.Location() != time.UTC {
			t.Errorf("%v, want %v", got.ExpiresAt, want)
		}
		// Never shorter.
		same, err := w.engine.Extend(t.Context(), id1, until(time.Now().Add(time.Second)))
		w.must(err)
		if !same.ExpiresAt.Equal(got.ExpiresAt) {
			t.Errorf("it was shortened to %v", same.ExpiresAt)
		}
		w.pass(time.Until(got.ExpiresAt) - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)
	})
}

func TestExtendRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		refuse := func(code lifecycle.Code, req lifecycle.ExtendRequest, words ...string) {
			t.Helper()
			_, err := w.engine.Extend(t.Context(), id1, req)
			if e := failed(t, err, code, words...); e.SessionID != id1 || e.ChatID != chat {
				t.Errorf("of session %q, chat %q", e.SessionID, e.ChatID)
			}
			if now := w.get(id1); !now.ExpiresAt.Equal(s.ExpiresAt) {
				t.Fatalf("the deadline is %v now", now.ExpiresAt)
			}
		}
		bad := lifecycle.CodeInvalidArgument
		refuse(bad, lifecycle.ExtendRequest{}, "by: give either by or until")
		refuse(bad, lifecycle.ExtendRequest{By: time.Minute, Until: s.ExpiresAt}, "by: give either by or until")
		refuse(bad, by(-time.Minute), "by: -1m0s is not positive")
		refuse(bad, by(time.Nanosecond), "by: 1ns is too short")
		refuse(bad, by(200*time.Hour), "by: 200h0m0s is over max_lifetime 168h0m0s")
		refuse(bad, by(24*time.Hour), "extend: by: ", "is over max_ttl 24h0m0s, which allows ")
		refuse(bad, until(time.Now().Add(24*time.Hour+time.Microsecond)), "extend: until: ", "is over max_ttl 24h0m0s")
		refuse(bad, until(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)), "until: 9999-01-01T00:00:00Z is over max_ttl")
		if _, err := w.engine.Extend(t.Context(), id2, by(time.Minute)); !errors.Is(err, lifecycle.CodeNotFound) {
			t.Errorf("%v", err)
		}
		if _, err := w.engine.Extend(t.Context(), "x", by(time.Minute)); !errors.Is(err, lifecycle.CodeInvalidArgument) {
			t.Errorf("%v", err)
		}
		at := time.Now().Add(24 * time.Hour).Truncate(time.Microsecond)
		got, err := w.engine.Extend(t.Context(), id1, until(at))
		w.must(err)
		if !got.ExpiresAt.Equal(at) {
			t.Errorf("%v, want %v", got.ExpiresAt, at)
		}
	})
}

func TestExtendMaxLifetime(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits.MaxTTL, w.limits.MaxLifetime = time.Hour, 90*time.Minute
		w.start()
		s := w.create(id1)
		_, err := w.engine.Extend(t.Context(), id1, by(50*time.Minute))
		w.must(err)
		w.pass(50 * time.Minute)
		_, err = w.engine.Extend(t.Context(), id1, by(35*time.Minute+time.Microsecond))
		failed(t, err, lifecycle.CodeInvalidArgument, "is over max_lifetime 1h30m0s, which allows "+s.CreatedAt.Add(90*time.Minute).Format(time.RFC3339Nano)+" at most")
		_, err = w.engine.Extend(t.Context(), id1, by(35*time.Minute))
		w.must(err)
	})
}

func TestExtendByState(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		hold := make(chan struct{})
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Hold: hold})
		w.prober.set(time.Second, false)
		create := w.createLater(t.Context(), id1)
		// Before the image is there, there is no deadline to push.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := w.engine.Extend(ctx, id1, by(time.Minute))
		failed(t, err, lifecycle.CodeUnavailable, "its image is still being prepared")
		waits := w.extendLater(id1, by(time.Minute))
		w.pending(waits)
		close(hold)
		creating := w.over(waits)
		w.must(creating.err)
		if creating.session.Status != lifecycle.StatusCreating {
			t.Errorf("%+v", creating.session)
		}
		w.pass(time.Second)
		if r := w.over(create); r.err != nil || !r.session.ExpiresAt.Equal(creating.session.ExpiresAt) {
			t.Errorf("created %+v, %v", r.session, r.err)
		}

		w.sup.away()
		w.pass(5 * time.Second)
		w.status(id1, lifecycle.StatusUnknown)
		_, err = w.engine.Extend(t.Context(), id1, by(time.Minute))
		w.must(err)
		w.sup.back()

		_, err = w.engine.Stop(t.Context(), id1)
		w.must(err)
		_, err = w.engine.Extend(t.Context(), id1, by(time.Minute))
		failed(t, err, lifecycle.CodeConflict, "session "+id1+" is stopped")
		w.must(w.engine.Delete(t.Context(), id1))
		_, err = w.engine.Extend(t.Context(), id1, by(time.Minute))
		failed(t, err, lifecycle.CodeConflict, "session "+id1+" has ended: deleted")
	})
}

// The deadline passes while an extension is on its way to the disk.
func TestExtendRacesWithExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.pass(time.Until(s.ExpiresAt) - time.Second)
		w.store.Delay(5 * time.Second)
		c := w.extendLater(id1, by(time.Minute))
		w.pass(3 * time.Second) // past the old deadline
		w.status(id1, lifecycle.StatusRunning)
		w.boxes(1)
		w.pass(2 * time.Second)
		w.must(w.over(c).err)
		w.store.Clear()
		w.pass(time.Until(s.ExpiresAt.Add(time.Minute)) - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		_, _, lags, _ := w.obs.all()
		if len(lags) != 0 {
			t.Errorf("a lag was told: %v", lags)
		}
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)

		// And the other way round: what comes after the deadline is refused.
		s = w.create(id2)
		w.mem.Fail(mem.Stop, mem.Fault{Delay: time.Second})
		w.pass(time.Until(s.ExpiresAt))
		_, err := w.engine.Extend(t.Context(), id2, by(time.Minute))
		failed(t, err, lifecycle.CodeConflict, "session "+id2+" is stopping")
	})
}

// The same while it is being created.
func TestExtendRacesWithALateCreate(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.prober.set(20*time.Second, false)
		req := request(id1)
		req.TTL = 10 * time.Second
		c := later(func() (lifecycle.Session, error) { return w.engine.Create(context.Background(), req) })
		w.pass(9 * time.Second)
		w.store.Delay(3 * time.Second)
		ext := w.extendLater(id1, by(time.Minute))
		w.pass(3 * time.Second)
		w.must(w.over(ext).err)
		w.store.Clear()
		w.pass(8 * time.Second)
		r := w.over(c)
		w.must(r.err)
		w.pass(time.Until(r.session.ExpiresAt) - time.Nanosecond)
		w.status(id1, lifecycle.StatusRunning)
		w.pass(time.Nanosecond)
		w.ended(id1, lease.Expired)
	})
}

func TestExtendWhileTheStoreFails(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.store.Fail(leaseFault(0))
		_, err := w.engine.Extend(t.Context(), id1, by(time.Minute))
		failed(t, err, lifecycle.CodeUnavailable, "the new deadline could not be written", "no space left on device")
		if now := w.get(id1); !now.ExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("the deadline is %v now", now.ExpiresAt)
		}
		w.pass(5 * time.Minute)
		w.ended(id1, lease.Expired)
	})
}

// A write that failed may have landed. What the caller was told is on disk soon after.
func TestExtendThatLandedThoughItFailed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		f := leaseFault(1)
		f.Lands = true
		w.store.Fail(f)
		_, err := w.engine.Extend(t.Context(), id1, by(time.Minute))
		failed(t, err, lifecycle.CodeUnavailable)
		if rec := record(t, w.store, id1); rec.ExpiresAt.Equal(s.ExpiresAt) {
			t.Fatal("the fault did not land")
		}
		w.pass(3 * time.Second)
		if rec := record(t, w.store, id1); !rec.ExpiresAt.Equal(s.ExpiresAt) {
			t.Errorf("the lease says %v", rec.ExpiresAt)
		}
	})
}

// Thirty-two at once: each adds, and none is lost.
func TestExtendConcurrently(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.create(id1)
		w.store.Delay(time.Millisecond)
		var all []<-chan result
		for range 32 {
			all = append(all, w.extendLater(id1, by(time.Second)))
		}
		w.pass(time.Second)
		for _, c := range all {
			w.must(w.over(c).err)
		}
		if got := w.get(id1).ExpiresAt.Sub(s.ExpiresAt); got != 32*time.Second {
			t.Errorf("32 s were added, and it is %v", got)
		}
	})
}

var errAway = &provider.Error{Class: provider.Unavailable, Message: "the daemon does not answer"}
