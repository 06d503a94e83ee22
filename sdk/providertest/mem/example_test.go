package mem_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// A test has the backend in its hands: what happens there behind a host's back, and what goes
// wrong with a call.
func ExampleBackend() {
	ctx, backend := context.Background(), mem.NewBackend("example")
	p := backend.Provider()
	made, err := p.Create(ctx, provider.Spec{Name: "berth-owner-1", Owner: "owner", SessionID: "1", RequestHash: "hash",
		Image: "sandbox", Digest: mem.Digest("sandbox"), Port: 8000})
	fmt.Println(made.Outcome, made.Sandbox.Endpoint.Port, err)

	backend.Exit(made.Sandbox.ID, 137, true)
	got, err := p.Get(ctx, provider.Ref{ID: made.Sandbox.ID})
	fmt.Println(got.State, got.Exit.Code, got.Exit.OOMKilled, err)

	backend.SetAvailable(false)
	_, err = p.Get(ctx, provider.Ref{ID: made.Sandbox.ID})
	fmt.Println("away is not gone:", errors.Is(err, provider.Unavailable), errors.Is(err, provider.NotFound))
	// Output:
	// created 8000 <nil>
	// exited 137 true <nil>
	// away is not gone: true false
}

// A fault is of one verb, for so many calls. This one loses an answer: the sandbox is there.
func ExampleBackend_Fail() {
	ctx, backend := context.Background(), mem.NewBackend("example")
	p := backend.Provider()
	backend.Fail(mem.Create, mem.Fault{Times: 1, After: true, Err: errors.New("the answer is lost")})
	spec := provider.Spec{Name: "berth-owner-1", Owner: "owner", SessionID: "1", RequestHash: "hash",
		Image: "sandbox", Digest: mem.Digest("sandbox")}
	_, err := p.Create(ctx, spec)
	fmt.Println(err)
	again, err := p.Create(ctx, spec)
	fmt.Println(again.Outcome, err)
	fmt.Println(backend.Calls(mem.Create), "calls,", len(backend.Sandboxes()), "sandbox")
	// Output:
	// the answer is lost
	// adopted <nil>
	// 2 calls, 1 sandbox
}
