package docker

import (
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
)

// What the boundary costs beside the same calls made directly.
func BenchmarkBoundary(b *testing.B) {
	needDaemon(b)
	providertest.Benchmark(b, func() provider.Plugin { return Plugin() }, providertest.Options{
		Spec: provider.Spec{Image: world.image, Network: world.network, Port: 8000}, Listed: 20,
	})
}
