package docker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestShareJoinsWhatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s pulls
		n := 0
		pull := func(context.Context) error { n++; time.Sleep(time.Minute); return errors.New("no") }
		leader, leave := context.WithCancel(t.Context())
		answers := make(chan error, 3)
		go func() { answers <- s.share(leader, "image", time.Now(), pull) }()
		synctest.Wait()
		for range 2 {
			go func() { answers <- s.share(t.Context(), "image", time.Now(), pull) }()
		}
		synctest.Wait()
		leave()
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		for range 2 {
			if err := <-answers; err == nil || err.Error() != "no" {
				t.Errorf("who stayed: %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d pulls, want 1", n)
		}
		if err := s.share(t.Context(), "image", time.Time{}, func(context.Context) error { return nil }); err != nil {
			t.Errorf("a failure was kept: %v", err)
		}
	})
}

// When all have left, the pull is ended, and its end is waited for. Who comes then begins
// another.
func TestShareEndsWithTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s pulls
		over := false
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.share(ctx, "image", time.Now(), func(ctx context.Context) error {
			<-ctx.Done()
			if err := s.share(t.Context(), "image", time.Now(), func(context.Context) error { return nil }); err != nil {
				t.Errorf("who came while it ended: %v", err)
			}
			time.Sleep(time.Second)
			over = true
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || !over {
			t.Errorf("left with %v; the pull is over: %v", err, over)
		}
		if len(s.going) != 0 {
			t.Errorf("%d pulls go on", len(s.going))
		}
	})
}

// A pull that began after the caller's call is as good as its own; an older one is not.
func TestShareTakesWhatIsNewEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s pulls
		n := 0
		pull := func(context.Context) error { n++; time.Sleep(time.Minute); return nil }
		share := func(since time.Time, want int) {
			t.Helper()
			if err := s.share(t.Context(), "image", since, pull); err != nil || n != want {
				t.Errorf("%v after %d pulls, want %d", err, n, want)
			}
		}
		called := time.Now()
		time.Sleep(time.Second)
		share(time.Now(), 1)
		share(called, 1)
		share(time.Now().Add(-30*time.Second), 2)
	})
}
