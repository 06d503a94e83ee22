package docker

import (
	"context"
	"fmt"
	"testing"

	"github.com/docker/docker/api/types/network"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// A network without a free address is something that has run out, not a wrong request:
// the create may be tried again.
func TestCreateOnAFullNetwork(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	name := "berth-test-full-" + uuid.NewString()[:8]
	// Two addresses: the gateway's and one sandbox's. Another daemon or run may have the same.
	var err error
	for i := range 50 {
		_, err = r.api.NetworkCreate(t.Context(), name, network.CreateOptions{IPAM: &network.IPAM{
			Config: []network.IPAMConfig{{Subnet: fmt.Sprintf("10.213.%d.%d/30", i, 4*(i%64))}}}})
		if err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.api.NetworkRemove(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	joins := func(s *provider.Spec) { s.Network = name }
	r.create(r.newSpec(joins))
	spec := r.newSpec(joins)
	_, err = r.Create(t.Context(), spec)
	wantFailure(t, err, provider.Exhausted, codeStart, spec.ChatID, "no available IPv4 addresses")
	r.wantNothing(spec)
}
