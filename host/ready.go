package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/supervisor"
)

// ProviderStatus is what is known of one provider now.
type ProviderStatus = supervisor.Report

// Providers tells the state of every provider, in the order of the configuration. It
// asks nobody.
func (h *Host) Providers() []ProviderStatus {
	list := []ProviderStatus{}
	for _, s := range h.providers() {
		list = append(list, s.supervisor.Report())
	}
	return list
}

// WaitReady returns when every provider is READY, or with what each one that is not
// last said when ctx is done.
func (h *Host) WaitReady(ctx context.Context) error {
	var down []string
	for _, s := range h.providers() {
		if err := s.supervisor.WaitReady(ctx); err != nil {
			down = append(down, fmt.Sprintf("%s: %v", s.name, err))
		}
	}
	if len(down) > 0 {
		return &Error{Code: CodeUnavailable, Op: "wait", Message: "not ready: " + strings.Join(down, "; ")}
	}
	return nil
}

// require ends the host when a required provider can't be launched or is misconfigured
// before it ever was READY. A backend that is away does not: it is waited for.
func (h *Host) require(ctx context.Context, s *slot, fail context.CancelCauseFunc) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		switch st := s.supervisor.Status(); st.State {
		case lifecycle.Ready, lifecycle.Degraded:
			return
		case lifecycle.Misconfigured, lifecycle.Backoff:
			fail(fmt.Errorf("provider %q is required: %w", s.name, st.Err))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
