package mem

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// Verb names a call that can be counted and made to fail.
type Verb string

// The verbs of a provider, and those of the plugin around it.
const (
	Prepare  Verb = "prepare"
	Create   Verb = "create"
	Get      Verb = "get"
	List     Verb = "list"
	Stop     Verb = "stop"
	Delete   Verb = "delete"
	Health   Verb = "health"
	Identity Verb = "identity"
	Logs     Verb = "logs"
	Events   Verb = "events"

	Info      Verb = "info"
	Schemas   Verb = "schemas"
	Validate  Verb = "validate"
	Configure Verb = "configure"
	Drain     Verb = "drain"
)

// Fault is what is wrong with the calls of one verb. Its parts work together, in the order
// of the fields.
type Fault struct {
	Times int // for so many calls; 0: until Clear

	// After lets the call have its effect first, so that only its answer is late or
	// lost. Else a call that fails has no effect.
	After bool

	Delay time.Duration   // waits so long, or until the context is done
	Hold  <-chan struct{} // waits until it is closed, or until the context is done
	Hang  bool            // waits until the context is done
	Deaf  bool            // the waits above do not hear of the context

	Panic any   // panics with it
	Err   error // fails with it, as it is
	exit  int   // ends the process; only by a fault block of the mock binary

	// Lies, for a call that succeeds.
	Cut     int                     // List: so many sandboxes, then Unavailable; Logs: so many pieces
	Outcome provider.Outcome        // Create, Stop, Delete: answers this
	Lie     func(*provider.Sandbox) // Create, Get, List: changes the sandbox in the answer
	Twice   bool                    // List: yields its first sandbox again at its end
	Backend string                  // Create, Health, Identity: says that the backend is this one
}

// Fail gives a verb a fault. Faults of one verb are used up in the order of the calls of
// Fail: the next one begins when the Times of the one before are over.
func (b *Backend) Fail(verb Verb, f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults[verb] = append(b.faults[verb], &f)
}

// Clear removes all faults. A call that is under way keeps its own.
func (b *Backend) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.faults)
}

// Calls tells how often a verb was called, failed calls included.
func (b *Backend) Calls(verb Verb) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[verb]
}

// AwaitCalls returns when a verb was called n times in all, or with ctx's error.
func (b *Backend) AwaitCalls(ctx context.Context, verb Verb, n int) error {
	for {
		b.mu.Lock()
		got, changed := b.calls[verb], b.changed
		b.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d calls of %s: %w", got, n, verb, ctx.Err())
		}
	}
}

// begin counts a call and takes its fault.
func (b *Backend) begin(verb Verb) Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[verb]++
	b.notify()
	queue := b.faults[verb]
	if len(queue) == 0 {
		return Fault{}
	}
	f := queue[0]
	taken := *f
	if f.Times == 1 {
		b.faults[verb] = queue[1:]
	} else if f.Times > 1 {
		f.Times--
	}
	return taken
}

// count counts a call that takes no fault.
func (b *Backend) count(verb Verb) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[verb]++
	b.notify()
}

// before plays the fault unless it comes after the effect.
func (f Fault) before(ctx context.Context, op Verb, id string) error {
	if f.After {
		return nil
	}
	return f.play(ctx, op, id)
}

// after plays the fault if it comes after the effect.
func (f Fault) after(ctx context.Context, op Verb, id string) error {
	if !f.After {
		return nil
	}
	return f.play(ctx, op, id)
}

func (f Fault) play(ctx context.Context, op Verb, id string) error {
	done := ctx.Done()
	if f.Deaf {
		done = nil
	}
	wait := func(until <-chan struct{}, timer <-chan time.Time) error {
		select {
		case <-until:
		case <-timer:
		case <-done:
			return &provider.Error{Class: provider.Canceled, Op: string(op), ID: id, Err: ctx.Err()}
		}
		return nil
	}
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		if err := wait(nil, t.C); err != nil {
			return err
		}
	}
	if f.Hold != nil {
		if err := wait(f.Hold, nil); err != nil {
			return err
		}
	}
	if f.Hang {
		if err := wait(nil, nil); err != nil {
			return err
		}
	}
	if f.exit != 0 {
		os.Exit(f.exit)
	}
	if f.Panic != nil {
		panic(f.Panic)
	}
	return f.Err
}

// lie applies the fault's lies to a sandbox in an answer.
func (f Fault) lie(s *provider.Sandbox) {
	if f.Lie != nil {
		f.Lie(s)
	}
}

// backend is the true identity, or the fault's.
func (f Fault) backend(identity string) string {
	if f.Backend != "" {
		return f.Backend
	}
	return identity
}

// outcome is the true outcome, or the fault's.
func (f Fault) outcome(o provider.Outcome) provider.Outcome {
	if f.Outcome != "" {
		return f.Outcome
	}
	return o
}
