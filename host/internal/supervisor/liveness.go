package supervisor

import (
	"context"
	"fmt"
	"time"
)

// errHung is the end of a generation that did not answer.
type errHung struct{ error }

func (e errHung) Unwrap() error { return e.error }

// pings asks the plugin, as long as it lives, whether it answers, and kills it when it
// does not.
func (g *generation) pings() {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	misses := 0
	for {
		select {
		case <-tick.C:
		case <-g.work.Done():
			return
		}
		ctx, cancel := context.WithTimeout(g.work, pingTimeout)
		err := g.inst.Ping(ctx)
		cancel()
		switch {
		case g.work.Err() != nil:
			return
		case err == nil:
			misses = 0
			continue
		}
		misses++
		g.s.log.Warn("the plugin does not answer", "generation", g.num.Load(), "misses", misses, "err", err)
		if misses == pingMisses {
			g.end(errHung{fmt.Errorf("generation %d hung: %d pings in a row had no answer, so it was killed: %w", g.num.Load(), misses, err)})
			g.inst.Kill()
			return
		}
	}
}
