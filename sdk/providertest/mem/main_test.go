package mem_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func spec(n int) provider.Spec {
	return provider.Spec{
		Name: fmt.Sprintf("berth-owner-%d", n), Owner: "owner", SessionID: fmt.Sprintf("session-%d", n), ChatID: "chat",
		AgentID: "agent", Template: "t", RequestHash: "hash", Image: "i", Digest: mem.Digest("i"), Port: 8000,
		VolumeHostPath: "/v", ExpiresAt: time.Unix(1_800_000_000, 0).UTC(),
	}
}

func fence(n int) provider.Fence {
	return provider.Fence{Owner: "owner", SessionID: fmt.Sprintf("session-%d", n)}
}

func create(t *testing.T, p provider.Provider, s provider.Spec) provider.Created {
	t.Helper()
	c, err := p.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func list(ctx context.Context, p provider.Provider) (ids []string, s provider.ListSummary, err error) {
	s, err = p.List(ctx, func(x provider.Sandbox) error { ids = append(ids, x.ID); return nil })
	return ids, s, err
}

func is(t *testing.T, what string, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("%s: got %v, want %v", what, err, class)
	}
}
