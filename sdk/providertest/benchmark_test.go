package providertest_test

import (
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func BenchmarkMem(b *testing.B) {
	backend := mem.NewBackend("benchmark")
	providertest.Benchmark(b, func() provider.Plugin { return mem.Plugin(backend) },
		providertest.Options{Spec: provider.Spec{Port: 8000}, Listed: 1000})
}
