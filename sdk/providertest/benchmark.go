package providertest

import (
	"context"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

// benchmarkOwner is on every sandbox that a benchmark makes.
const benchmarkOwner = "cfbenchmark0"

// Benchmark measures what the boundary costs a plugin, each time beside the same call made
// directly:
//
//   - hop: Info, which touches no backend, over a connection and bare;
//   - list: List of Options.Listed sandboxes, for each thousand of them.
//
// The time of an operation is that of both calls.
func Benchmark(b *testing.B, open func() provider.Plugin, opts Options) {
	bare := opened(b, suite.Bare(open), opts)
	wire := opened(b, suite.Wire(open), opts)
	b.Run("hop", func(b *testing.B) {
		info := func(p provider.Plugin) error { _, err := p.Info(b.Context()); return err }
		direct, far := sideBySide(b, func() error { return info(bare) }, func() error { return info(wire) })
		b.ReportMetric(float64(direct.Nanoseconds()), "ns/bare")
		b.ReportMetric(float64(far.Nanoseconds()), "ns/wire")
		b.ReportMetric(float64((far - direct).Nanoseconds()), "ns/hop")
	})
	b.Run("list", func(b *testing.B) {
		fill(b, bare, opts)
		n, err := count(b.Context(), bare) // others may use the backend too
		if err != nil || n == 0 {
			b.Fatalf("%d sandboxes are listed: %v", n, err)
		}
		list := func(p provider.Plugin) error { _, err := count(b.Context(), p); return err }
		direct, far := sideBySide(b, func() error { return list(bare) }, func() error { return list(wire) })
		per := 1000 / float64(n)
		b.ReportMetric(float64(direct.Microseconds())*per, "µs/1000-bare")
		b.ReportMetric(float64(far.Microseconds())*per, "µs/1000-wire")
		b.ReportMetric(float64(far)/float64(direct), "wire/bare")
	})
}

// sideBySide makes both calls in turn and returns the mean time of each.
func sideBySide(b *testing.B, one, other func() error) (first, second time.Duration) {
	var sums [2]time.Duration
	n := 0
	for b.Loop() {
		for i, call := range []func() error{one, other} {
			begun := time.Now()
			if err := call(); err != nil {
				b.Fatal(err)
			}
			sums[i] += time.Since(begun)
		}
		n++
	}
	return sums[0] / time.Duration(n), sums[1] / time.Duration(n)
}

// opened is a generation that is ready for use and ends with the benchmark.
func opened(b *testing.B, s suite.Subject, opts Options) provider.Plugin {
	b.Helper()
	p, end, err := s.Open(b.Context(), opts, benchmarkOwner)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := end(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return p
}

// fill makes sandboxes that go with the benchmark.
func fill(b *testing.B, p provider.Plugin, opts Options) {
	b.Helper()
	n := opts.Listed
	if n == 0 {
		n = suite.DefaultListed
	}
	for range n {
		spec := opts.NewSpec(benchmarkOwner)
		prepared, err := p.Provider().Prepare(b.Context(), provider.PrepareRequest{Image: spec.Image, Config: spec.Config})
		if err != nil {
			b.Fatal(err)
		}
		spec.Digest = prepared.Digest
		made, err := p.Provider().Create(b.Context(), spec)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_, err := p.Provider().Delete(context.Background(), provider.DeleteRequest{ID: made.Sandbox.ID,
				Fence: provider.Fence{Owner: spec.Owner, SessionID: spec.SessionID}})
			if err != nil {
				b.Error(err)
			}
		})
	}
}

// count lists.
func count(ctx context.Context, p provider.Plugin) (n int, err error) {
	_, err = p.Provider().List(ctx, func(provider.Sandbox) error { n++; return nil })
	return n, err
}
