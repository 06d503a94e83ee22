package e2e

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
)

// benchPairs is how many pairs a benchmark measures: Berth and the bare client, one after
// the other, in changing order, so that a noisy machine is noisy to both.
const benchPairs = 30

// benchTurn calls both sides of pair i, in the order A B B A.
func benchTurn(i int, berth, bare func()) {
	if i%2 == 0 {
		berth()
		bare()
	} else {
		bare()
		berth()
	}
}

// benchMedian is the middle of values, which are sorted on the way.
func benchMedian[T float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return values[mid]
	}
	return (values[mid-1] + values[mid]) / 2
}

// benchRatios collects what pairs took on both sides. The ratio is the median of the
// pairs' ratios: what drifts during the run hits both sides of a pair.
type benchRatios struct {
	berth, bare []time.Duration
	ratios      []float64
}

func (r *benchRatios) add(berth, bare time.Duration) {
	r.berth, r.bare = append(r.berth, berth), append(r.bare, bare)
	r.ratios = append(r.ratios, berth.Seconds()/bare.Seconds())
}

// report prints the ratio as a metric and as a line that says what it is of.
func (r *benchRatios) report(b *testing.B, unit, what string) {
	ratio := benchMedian(r.ratios)
	quarter := len(r.ratios) / 4
	b.ReportMetric(ratio, unit)
	b.Logf("%s: ratio %.3f (half of %d pairs in %.3f–%.3f); Berth %s, bare %s", what, ratio,
		len(r.ratios), r.ratios[quarter], r.ratios[len(r.ratios)-1-quarter],
		benchText(benchMedian(r.berth)), benchText(benchMedian(r.bare)))
}

// benchText shows a time with three digits or so.
func benchText(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond / 10).String()
	case d < 100*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(100 * time.Microsecond).String()
	}
}

// benchHosted is a host in this process, with plugin processes of its own.
type benchHosted struct {
	*host.Host
	b        *testing.B
	registry *prometheus.Registry
}

// benchHost runs a host on the place's configuration until the benchmark is over.
func benchHost(b *testing.B, s *site) *benchHosted {
	b.Helper()
	cfg, diags := config.Load(s.path("config.hcl"))
	if err := diags.Err(); err != nil {
		b.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	h, err := host.New(cfg, host.Options{Registerer: registry})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	within, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if err := h.WaitReady(within); err != nil {
		b.Fatal(err)
	}
	return &benchHosted{Host: h, b: b, registry: registry}
}

// benchSpent is a histogram's count and sum, or what came to it in a while.
type benchSpent struct {
	n   uint64
	sum time.Duration
}

func (s benchSpent) since(before benchSpent) benchSpent {
	return benchSpent{s.n - before.n, s.sum - before.sum}
}

func (s benchSpent) mean() time.Duration { return s.sum / time.Duration(max(1, s.n)) }

// commits are the lease commits that there were until now: berth_lease_commit_seconds.
func (h *benchHosted) commits() benchSpent { return h.spent("berth_lease_commit_seconds") }

// spent reads a histogram of the host. With methods only their part is counted.
func (h *benchHosted) spent(name string, methods ...string) (total benchSpent) {
	families, err := h.registry.Gather()
	if err != nil {
		h.b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(methods) > 0 && !slices.Contains(methods, benchLabel(m, "method")) {
				continue
			}
			total.n += m.GetHistogram().GetSampleCount()
			total.sum += time.Duration(m.GetHistogram().GetSampleSum() * float64(time.Second))
		}
		return total
	}
	h.b.Fatalf("the host has no metric %s", name)
	return total
}

func benchLabel(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// benchNoNanos keeps the time of the whole run out of the result line: it says nothing.
func benchNoNanos(b *testing.B) { b.ReportMetric(0, "ns/op") }

// benchName numbers the names of what one benchmark makes at the daemon.
func benchName(i int) string { return fmt.Sprintf("bench-%s-%d", world.run, i) }

// benchHeap is how many bytes are in use once the garbage is gone.
func benchHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
