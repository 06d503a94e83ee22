package detached_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/berth-dev/berth/sdk/detached"
	"github.com/berth-dev/berth/sdk/provider"
)

// What Start has started outlives this process. Whoever has the directory sees how it is, and
// ends it.
func ExampleStart() {
	dir, err := os.MkdirTemp("", "detached-") // records gives each sandbox one
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cmd := detached.Command(provider.Spec{Image: "/bin/sh", Command: []string{"-c", "exec sleep 1000"},
		Env: []provider.EnvVar{{Name: "AGENT_ID", Value: "agent-7"}}})
	if err := detached.Start(dir, cmd); err != nil {
		fmt.Println(err)
		return
	}
	ctx, processes := context.Background(), detached.Processes{}
	seen, err := processes.Observe(ctx, dir)
	fmt.Println(seen.State, err)
	if err := processes.End(ctx, dir, 10*time.Second); err != nil { // SIGTERM; SIGKILL after ten seconds
		fmt.Println(err)
	}
	seen, err = processes.Observe(ctx, dir)
	fmt.Println(seen.State, seen.Exit.Code, err)
	// Output:
	// running <nil>
	// exited 143 <nil>
}

// With a listener a sandbox has an endpoint, and no caller comes too early: it was open before
// the program was.
func ExampleListen() {
	dir, err := os.MkdirTemp("", "detached-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cmd := detached.Command(provider.Spec{Image: "/bin/sh", Command: []string{"-c", "exec sleep 1000"}})
	listener, err := detached.Listen(dir, cmd) // the program has it as descriptor 3
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	if err := detached.Start(dir, cmd); err != nil {
		fmt.Println(err)
		return
	}
	ctx, processes := context.Background(), detached.Processes{}
	seen, err := processes.Observe(ctx, dir)
	fmt.Println(seen.State, seen.Endpoint.IP, seen.Endpoint.Port > 0, err)
	fmt.Println(processes.End(ctx, dir, 0)) // at once
	// Output:
	// running 127.0.0.1 true <nil>
	// <nil>
}
