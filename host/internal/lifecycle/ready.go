package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	defaultReadyTimeout = 30 * time.Second
	lookEvery           = time.Second // at a sandbox that is not ready, when no event tells of it
	getTimeout          = 10 * time.Second
	tailLines           = 50
	tailBytes           = 16 << 10
)

// awaitReady returns nil once the session's agent answers. A sandbox that ends first is
// noticed by an event, or by a look once a second.
func (e *Engine) awaitReady(ctx context.Context, s *session, b *backend) error {
	rec := s.record()
	if rec.Endpoint == nil || !probes(rec.Ready) {
		return nil
	}
	timeout := rec.Ready.Timeout
	if timeout <= 0 {
		timeout = defaultReadyTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errNotReady)
	defer cancel()
	probed := make(chan error, 1)
	go func() { probed <- e.prober.Probe(ctx, *rec.Endpoint, rec.Ready) }()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case err := <-probed:
			if err != nil && errors.Is(context.Cause(ctx), errNotReady) {
				return &provider.Error{Class: provider.Internal, Message: fmt.Sprintf("%v within %v", errNotReady, timeout), Err: err}
			}
			return err
		case <-look.C:
		case <-s.hint:
		}
		if err := e.stillRuns(ctx, s, b); err != nil {
			cancel()
			<-probed
			return err
		}
	}
}

// probes reports whether the host asks the agent itself; without that, running means
// started.
func probes(r lease.Ready) bool { return r.TCP || r.HTTP != "" }

var errNotReady = errors.New("the sandbox was not ready")

// stillRuns is an error only when the provider says that the sandbox has ended.
func (e *Engine) stillRuns(ctx context.Context, s *session, b *backend) error {
	s.suspects(false)
	sb, err := b.Get(ctx, provider.Ref{ID: s.record().SandboxID})
	switch {
	case isNotFound(err):
		return &provider.Error{Class: provider.Internal, Message: "the sandbox was removed before it was ready", Err: err}
	case err == nil && sb.State == provider.StateExited:
		text := "the sandbox ended before it was ready"
		if sb.Exit != nil {
			text = fmt.Sprintf("the sandbox ended with exit code %d before it was ready", sb.Exit.Code)
			if sb.Exit.OOMKilled {
				text += ": it was out of memory"
			}
			s.mu.Lock()
			s.exit = sb.Exit
			s.mu.Unlock()
		}
		return &provider.Error{Class: provider.Internal, Message: text}
	}
	return nil
}

// logTail gets the last lines that the sandbox of a failed create printed: those in the
// error, or those that can be read now.
func (e *Engine) logTail(s *session, b *backend, cause error) string {
	if tail := provider.LogTailOf(cause); tail != "" {
		if strings.Contains(cause.Error(), tail) {
			return ""
		}
		return tail
	}
	reader, ok := b.Backend.(provider.LogReader)
	id := s.record().SandboxID
	if !ok || id == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(e.base, getTimeout)
	defer cancel()
	var tail []byte
	err := reader.Logs(ctx, provider.LogsRequest{ID: id, Tail: tailLines}, func(c provider.LogChunk) error {
		tail = append(tail, c.Data...)
		if over := len(tail) - tailBytes; over > 0 {
			tail = append(tail[:0], tail[over:]...)
		}
		return nil
	})
	if err != nil && len(tail) == 0 {
		return ""
	}
	return strings.TrimRight(string(tail), "\n")
}
