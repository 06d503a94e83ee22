package supervisor

import (
	"testing"
	"time"
)

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	b := backoff{first: 200 * time.Millisecond, most: 30 * time.Second}
	for round := range 2 {
		for n := range 1000 {
			limit := 30 * time.Second
			if n < 8 {
				limit = min(limit, 200*time.Millisecond<<n)
			}
			if d := b.next(); d <= 0 || d > limit {
				t.Fatalf("round %d, wait %d is %s, of at most %s", round, n, d, limit)
			}
		}
		if b.afterDeath() != 0 || b.afterDeath() == 0 {
			t.Fatal("at once the first time only")
		}
		b.reset()
	}
}

func TestBackoffHasFullJitter(t *testing.T) {
	low, high := 0, 0
	for range 1000 {
		b := backoff{first: time.Second, most: time.Minute}
		switch d := b.next(); {
		case d < 250*time.Millisecond:
			low++
		case d > 750*time.Millisecond:
			high++
		}
	}
	if low < 150 || high < 150 {
		t.Errorf("of 1000 waits %d are in the lowest quarter and %d in the highest", low, high)
	}
}
