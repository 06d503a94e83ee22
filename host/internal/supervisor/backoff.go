package supervisor

import (
	"math/rand/v2"
	"time"
)

// backoff counts failures in a row and says how long to wait after each: a random time
// up to first·2ⁿ, and at most most.
type backoff struct {
	first, most time.Duration
	n           int
	atOnce      bool // the one restart without a wait was used
}

// next is the wait after one more failure.
func (b *backoff) next() time.Duration {
	limit := b.most
	if b.n < 20 && b.first<<b.n < b.most {
		limit = b.first << b.n
	}
	b.n++
	return rand.N(limit) + 1
}

// afterDeath is the wait after a plugin that had started died: none, the first time.
func (b *backoff) afterDeath() time.Duration {
	if !b.atOnce {
		b.atOnce = true
		return 0
	}
	return b.next()
}

func (b *backoff) reset() { b.n, b.atOnce = 0, false }
