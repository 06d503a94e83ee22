package e2e

import (
	"context"
	"sync"
	"testing"
	"time"
)

// benchCommitsEach is how many lease commits a step of Berth's waits for: what is asked
// and where, that it runs; that it is to go, that it has gone.
const benchCommitsEach = 2

// BenchmarkCold is a sandbox's whole life, from the request to its first HTTP 200 and to
// its removal: through the host and the Docker plugin's process, against the bare Docker
// client that asks for the same container. Targets: at most 1.05 after the lease commits.
// The daemon's own times vary by a tenth and more, so one run of 30 pairs is good for a few
// hundredths; -benchtime 8x measures 240 pairs.
func BenchmarkCold(b *testing.B) {
	h, bare := benchColdSides(b)
	var whole, remove, before benchRatios
	var commits, removeCommits []time.Duration
	for b.Loop() {
		for i := range benchPairs {
			var x, y benchCycle
			benchTurn(i,
				func() { x = benchRun(b, 1, h.cycle)[0] },
				func() { y = benchRun(b, 1, bare.cycle)[0] })
			committed := x.commits.create.sum + x.commits.remove.sum
			whole.add(x.whole()-committed, y.whole())
			remove.add(x.remove-x.commits.remove.sum, y.remove)
			before.add(x.whole(), y.whole())
			commits = append(commits, committed)
			removeCommits = append(removeCommits, x.commits.remove.sum)
		}
	}
	benchNoNanos(b)
	whole.report(b, "cold-ratio", "create → first 200 → delete, alone, after the lease commits")
	remove.report(b, "delete-ratio", "delete, alone, after the lease commits")
	b.Logf("lease commits: %s a cycle, %s of it in delete; with them the ratio is %.3f",
		benchText(benchMedian(commits)), benchText(benchMedian(removeCommits)), benchMedian(before.ratios))
	b.ReportMetric(benchMedian(commits).Seconds()*1e3, "commit-ms")
}

// BenchmarkColdAtOnce is the same, eight at once: a pair is a round of eight on each side.
// A lease's wait for the commits of others is not taken off, only what its own commits
// take on average. Targets: at most 1.05 each, and at least 0.95 of the cycles per second.
func BenchmarkColdAtOnce(b *testing.B) {
	const atOnce = 8
	h, bare := benchColdSides(b)
	var whole, remove, before, rounds, roundsBefore benchRatios
	var commits []time.Duration
	for b.Loop() {
		for i := range benchPairs {
			var xs, ys []benchCycle
			var x, y, mean time.Duration
			benchTurn(i,
				func() {
					first := h.commits()
					begun := time.Now()
					xs = benchRun(b, atOnce, h.cycle)
					x = time.Since(begun)
					mean = h.commits().since(first).mean()
				},
				func() {
					begun := time.Now()
					ys = benchRun(b, atOnce, bare.cycle)
					y = time.Since(begun)
				})
			own := benchCommitsEach * mean
			whole.add(benchMiddle(xs, benchCycle.whole)-2*own, benchMiddle(ys, benchCycle.whole))
			remove.add(benchMiddle(xs, benchCycle.gone)-own, benchMiddle(ys, benchCycle.gone))
			before.add(benchMiddle(xs, benchCycle.whole), benchMiddle(ys, benchCycle.whole))
			rounds.add(x-2*own, y)
			roundsBefore.add(x, y)
			commits = append(commits, 2*own)
		}
	}
	benchNoNanos(b)
	whole.report(b, "cold8-ratio", "create → first 200 → delete, 8 at once, after the lease commits")
	remove.report(b, "delete8-ratio", "delete, 8 at once, after the lease commits")
	b.Logf("lease commits: %s a cycle; with them the ratio is %.3f", benchText(benchMedian(commits)), benchMedian(before.ratios))
	b.ReportMetric(benchMedian(commits).Seconds()*1e3, "commit-ms")

	perSecond := 1 / benchMedian(rounds.ratios)
	b.ReportMetric(perSecond, "cycles/s-ratio")
	b.Logf("cycles per second, 8 at once: ratio %.3f, with the lease commits %.3f; Berth %.2f/s, bare %.2f/s",
		perSecond, 1/benchMedian(roundsBefore.ratios),
		atOnce/benchMedian(rounds.berth).Seconds(), atOnce/benchMedian(rounds.bare).Seconds())
}

// benchColdSides makes both sides and has each make one sandbox before it counts.
func benchColdSides(b *testing.B) (*benchHosted, *benchBare) {
	b.Helper()
	s := newSite(b).configure(settings{lifecycle: map[string]string{"sweep_interval": `"60s"`}})
	h := benchHost(b, s)
	like, err := h.Create(b.Context(), chat())
	if err != nil {
		b.Fatal(err)
	}
	bare := benchBareLike(b, s, like)
	if err := h.Delete(b.Context(), like.ID); err != nil {
		b.Fatal(err)
	}
	benchRun(b, 1, h.cycle)
	benchRun(b, 1, bare.cycle)
	return h, bare
}

// benchRun makes n cycles at once.
func benchRun(b *testing.B, n int, cycle func(context.Context) (benchCycle, error)) []benchCycle {
	b.Helper()
	done := make([]benchCycle, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { done[i], errs[i] = cycle(b.Context()) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
	return done
}

func (c benchCycle) gone() time.Duration { return c.remove }

// benchMiddle is the median of a round.
func benchMiddle(round []benchCycle, of func(benchCycle) time.Duration) time.Duration {
	times := make([]time.Duration, 0, len(round))
	for _, c := range round {
		times = append(times, of(c))
	}
	return benchMedian(times)
}
