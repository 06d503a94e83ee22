package leasetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lease/leasetest"
	"github.com/berth-dev/berth/sdk/provider"
)

func TestMemory(t *testing.T) {
	leasetest.Suite(t,
		func(*testing.T) lease.Store { return leasetest.New() },
		func(_ *testing.T, s lease.Store) lease.Store { return s.(*leasetest.Memory).Reopen() })
}

func TestFaults(t *testing.T) {
	m := leasetest.New()
	ctx := t.Context()
	full := errors.New("disk full")
	m.Fail(leasetest.Fault{Err: full, Times: 1})
	m.Fail(leasetest.Fault{Lands: true, Times: 1})
	if err := m.Put(ctx, leasetest.Sample("a")); !errors.Is(err, full) || !errors.Is(err, provider.Unavailable) {
		t.Errorf("first: %v", err)
	}
	if _, ok := m.Record("a"); ok {
		t.Error("a failed write landed")
	}
	if err := m.Put(ctx, leasetest.Sample("b")); err == nil || err.Error() != "put lease b: no space left on device" {
		t.Errorf("second: %v", err)
	}
	if _, ok := m.Record("b"); !ok {
		t.Error("the write should have landed")
	}
	if err := m.Put(ctx, leasetest.Sample("c")); err != nil {
		t.Errorf("third: %v", err)
	}
	m.Fail(leasetest.Fault{})
	for range 3 {
		if m.Delete(ctx, "c") == nil {
			t.Error("a fault without Times must stay")
		}
	}
	m.Clear()
	if err := m.Delete(ctx, "c"); err != nil || m.Writes() != 3 {
		t.Errorf("%v, %d writes", err, m.Writes())
	}
}

func TestDelayAndHoldInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := leasetest.New()
		m.Delay(time.Second)
		begun := time.Now()
		if err := m.Put(t.Context(), leasetest.Sample("a")); err != nil || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := m.Put(ctx, leasetest.Sample("b")); !errors.Is(err, provider.Canceled) {
			t.Errorf("got %v", err)
		}
		m.Clear()

		release := m.Hold()
		done := make(chan error, 1)
		go func() { done <- m.Put(t.Context(), leasetest.Sample("c")) }()
		synctest.Wait()
		if _, ok := m.Record("c"); ok {
			t.Error("a held write landed")
		}
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, ok := m.Record("c"); !ok {
			t.Error("the write never landed")
		}

		release = m.Hold()
		go func() { done <- m.Put(t.Context(), leasetest.Sample("d")) }()
		synctest.Wait()
		m.Close() // a crash while a write was on its way
		release()
		if err := <-done; err == nil {
			t.Error("a write landed after the crash")
		}
		if _, ok := m.Reopen().Record("d"); ok {
			t.Error("a write landed after the crash")
		}
	})
}
