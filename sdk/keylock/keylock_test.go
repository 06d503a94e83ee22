package keylock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/berth-dev/berth/sdk/keylock"
)

// One caller at a time has a key; others wait, or leave with their context; another key is
// free.
func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l keylock.Lock
		first, err := l.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if other, err := l.Lock(t.Context(), "b"); err != nil {
			t.Error(err)
		} else {
			other()
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Lock(gone, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("who has left gets %v", err)
		}
		if _, err := l.Lock(gone, "c"); !errors.Is(err, context.Canceled) {
			t.Errorf("who has left gets a key that is free: %v", err)
		}
		got := false
		go func() {
			second, err := l.Lock(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			got = true
			second()
		}()
		synctest.Wait()
		if got {
			t.Error("two have the key")
		}
		first()
		synctest.Wait()
		if !got {
			t.Error("who waited does not get it")
		}
	})
}
