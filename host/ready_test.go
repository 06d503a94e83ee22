package host_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// Who waits for one provider does not wait for another.
func TestWaitReadyForSome(t *testing.T) {
	cfg, _ := parse(t, small+`
provider "away" { command = "/nowhere/berth-provider-away" }
`)
	h := run(t, cfg, linked(mem.NewBackend("memory")))
	if err := h.WaitReady(within(t), "mem"); err != nil {
		t.Error(err)
	}
	for _, names := range [][]string{nil, {"mem", "away"}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := h.WaitReady(ctx, names...)
		cancel()
		if !errors.Is(err, host.CodeUnavailable) || !strings.Contains(err.Error(), "away: ") || strings.Contains(err.Error(), "mem: ") {
			t.Errorf("%q: %v", names, err)
		}
	}
	if err := h.WaitReady(within(t), "mem", "docker"); !errors.Is(err, host.CodeNotFound) || !strings.Contains(err.Error(), `there is no provider "docker"`) {
		t.Errorf("a name that is not there: %v", err)
	}
}
