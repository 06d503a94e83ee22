//go:build chaos && linux

package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var (
	chaosProvider = flag.String("chaos.provider", "docker", "on what the sandboxes are: docker, or process")

	chaosSeed    = flag.Uint64("chaos.seed", 0, "draws the schedule of faults; 0: from the time")
	chaosLanes   = flag.Int("chaos.lanes", 2, "how many hosts there are at a time, each with a part of the plan; with Docker, half of them on daemons of their own")
	chaosMinutes = flag.Float64("chaos.minutes", wholeMinutes, "what the whole run may take")
	chaosKeep    = flag.String("chaos.keep", "", "a directory for the hosts' logs of a run that has failed")
	chaosOnly    = flag.String("chaos.only", "", "a part of the names of the faults to give; all without it")
)

// What a whole run gives: every point so often, and so many faults at random moments.
const (
	perPoint     = 20
	randomFaults = 500

	// wholeMinutes is what it may take. A shorter run is a part, and tells how great a one.
	wholeMinutes = 90
)

// TestChaos lets clients create, ensure, extend, stop and delete without a pause, at real
// hosts with the real plugin and real sandboxes, while processes are killed and stopped,
// connections cut, disks filled and clocks set. An auditor looks from outside and stops the
// run at the first promise that does not hold.
//
// On Docker half of the lanes are on the machine's daemon, with a network and readiness; half
// on private daemons, which are killed and stopped too. On the process provider each lane has
// a state directory of its own, and half of them endpoints and readiness.
func TestChaos(t *testing.T) {
	switch *chaosProvider {
	case "docker":
		needDocker(t)
	case "process":
		if world.alone != nil {
			t.Fatalf("there is no process provider here: %v", world.alone)
		}
	default:
		t.Fatalf("-chaos.provider=%s is neither docker nor process", *chaosProvider)
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("SEED=%d, %v minutes at most", seed, *chaosMinutes)
	bin := chaosBuild(t)
	end := time.Now().Add(time.Duration(*chaosMinutes * float64(time.Minute)))
	var lanes sync.WaitGroup
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	all := make([]*lane, max(2, *chaosLanes))
	for i := range all {
		all[i] = newLane(t, ctx, stop, bin, i)
	}
	for i, l := range all {
		l.beside = all[1]
		l.rng = rand.New(rand.NewPCG(seed, uint64(i)))
		l.plan = l.draw(i, len(all))
		lanes.Go(func() { l.run(end) })
	}
	lanes.Wait()
	report(t, seed, all...)
	for _, l := range all {
		if len(l.tally.not) > 0 {
			t.Errorf("SEED=%d: lane %s was not given all of its plan: %v", seed, l.name, l.tally.not)
		}
		if l.tally.late > 0 && *chaosMinutes >= wholeMinutes {
			t.Errorf("SEED=%d: lane %s had no time for %d of the %d faults of its plan: give it more LANES", seed, l.name, l.tally.late, len(l.plan))
		}
	}
	if err := context.Cause(ctx); err != nil && t.Context().Err() == nil {
		t.Fatalf("SEED=%d: %v", seed, err)
	}
}

// pause waits, unless the run is over.
func (l *lane) pause(d time.Duration) bool { return pause(l.ctx, d) }

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// between draws a duration.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}

// broke ends the run: a promise did not hold.
func (l *lane) broke(format string, args ...any) {
	err := fmt.Errorf("lane %s, %s: "+format, append([]any{l.name, time.Now().UTC().Format("15:04:05.000")}, args...)...)
	l.stop(err)
}
