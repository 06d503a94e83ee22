package e2e

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
)

// BenchmarkWatchersJoin is how long creates take while 200 watchers join a host of 8,000
// sessions, each of whom is told of all of them, beside creates without that. Those who
// can't keep up meanwhile are cut off, and join once more: they are counted.
func BenchmarkWatchersJoin(b *testing.B) {
	const sessions, watchers, creates = 8000, 200, 100
	s := bareSite(b).configure(settings{noDocker: true, more: noop, lifecycle: map[string]string{"max_sessions": fmt.Sprint(2 * sessions), "max_creating": "64"}})
	h := benchHost(b, s)
	var making sync.WaitGroup
	for range 64 {
		making.Go(func() {
			for range sessions / 64 {
				if _, err := h.Create(b.Context(), chat()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	making.Wait()
	create := func() time.Duration {
		begun := time.Now()
		if _, err := h.Create(b.Context(), chat()); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun)
	}
	var alone, beside, joined []time.Duration
	var cut atomic.Int64
	for b.Loop() {
		for range creates {
			alone = append(alone, create())
		}
		ctx, leave := context.WithCancel(b.Context())
		var watching sync.WaitGroup
		synced := make(chan time.Duration, watchers)
		for range 10 { // connections
			c := client.New(h.ControlSocket())
			for range watchers / 10 {
				watching.Go(func() {
					begun := time.Now()
					knows := false
					for ev := range c.Watch(ctx) {
						switch {
						case ev.Type == host.EventResync:
							cut.Add(1)
						case ev.Type == host.EventSynced && !knows:
							knows = true
							synced <- time.Since(begun)
						}
					}
				})
			}
			b.Cleanup(c.Close)
		}
		for len(synced) < watchers {
			beside = append(beside, create())
		}
		for range watchers {
			joined = append(joined, <-synced)
		}
		leave()
		watching.Wait()
	}
	benchNoNanos(b)
	p99, joinedMedian := benchPercentile(beside, 99), benchMedian(joined)
	b.Logf("create alone: median %s; while %d watchers join %d sessions: median %s, p99 %s, worst %s of %d; a watcher is told all in %s (median), %s (worst); %d were cut off",
		benchText(benchMedian(alone)), watchers, sessions, benchText(benchMedian(beside)), benchText(p99), benchText(beside[len(beside)-1]), len(beside),
		benchText(joinedMedian), benchText(joined[len(joined)-1]), cut.Load())
	b.ReportMetric(beside[len(beside)-1].Seconds(), "worst-create-s")
}
