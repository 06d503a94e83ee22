package host

import (
	"context"
	"fmt"
	"slices"
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

// WaitReady returns when the named providers are READY, or every provider when none is
// named; or with what each one that is not last said when ctx is done. A name that the
// configuration does not have is CodeNotFound.
func (h *Host) WaitReady(ctx context.Context, providers ...string) error {
	wanted := h.providers()
	if len(providers) > 0 {
		have := wanted
		wanted = nil
		for _, name := range providers {
			i := slices.IndexFunc(have, func(s *slot) bool { return s.name == name })
			if i < 0 {
				return &Error{Code: CodeNotFound, Op: "wait", Message: fmt.Sprintf("there is no provider %q", name)}
			}
			wanted = append(wanted, have[i])
		}
	}
	var down []string
	for _, s := range wanted {
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
