package records_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/records"
)

// Config is provider "lamps" { config { … } }.
type Config struct {
	Dir string `berth:"dir,required" doc:"Where the records are: an absolute path."`
}

// runtime runs nothing: each of its sandboxes is a lamp, which is lit as long as its file says
// so. What a real one remembers of a sandbox is in dir too: a process, a machine's name.
type runtime struct{}

func (runtime) Prepare(_ context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return provider.Prepared{Digest: req.Image}, nil
}

func (runtime) Start(_ context.Context, dir string, _ provider.Spec) error {
	return os.WriteFile(filepath.Join(dir, "lamp"), []byte("lit"), 0o600)
}

func (runtime) Observe(_ context.Context, dir string) (records.Observed, error) {
	lamp, err := os.ReadFile(filepath.Join(dir, "lamp"))
	switch {
	case errors.Is(err, fs.ErrNotExist): // Start was never called
		return records.Observed{State: provider.StateCreated}, nil
	case err != nil:
		return records.Observed{}, err
	case string(lamp) == "lit":
		return records.Observed{State: provider.StateRunning}, nil
	}
	return records.Observed{State: provider.StateExited, Exit: &provider.Exit{Code: 0}}, nil
}

func (runtime) End(_ context.Context, dir string, _ time.Duration) error {
	return os.WriteFile(filepath.Join(dir, "lamp"), []byte("out"), 0o600)
}

func open(_ context.Context, env sdk.Env, c Config) (provider.Provider, error) {
	return records.Open(c.Dir, runtime{}, records.Options{})
}

// Four small methods are a provider: what is about names, ids and fences is done already.
func ExampleOpen() {
	parent, err := os.MkdirTemp("", "lamps-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(parent)
	ctx, config := context.Background(), Config{Dir: filepath.Join(parent, "sandboxes")}
	p, err := open(ctx, sdk.Env{}, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	spec := provider.Spec{Name: "berth-owner-1", Owner: "owner", SessionID: "1", RequestHash: "hash", Image: "lamp"}
	made, err := p.Create(ctx, spec)
	fmt.Println(made.Outcome, made.Sandbox.Name, made.Sandbox.State, err)
	again, err := p.Create(ctx, spec)
	fmt.Println(again.Outcome, again.Sandbox.ID == made.Sandbox.ID, err)
	spec.RequestHash = "another"
	_, err = p.Create(ctx, spec)
	fmt.Println(provider.ClassOf(err))

	// The next process of the plugin finds what this one has made.
	next, err := open(ctx, sdk.Env{}, config)
	if err != nil {
		fmt.Println(err)
		return
	}
	request := provider.DeleteRequest{ID: made.Sandbox.ID, Fence: provider.Fence{Owner: "owner", SessionID: "1"}}
	for range 2 {
		deleted, err := next.Delete(ctx, request)
		fmt.Println(deleted.Outcome, err)
	}
	// Output:
	// created berth-owner-1 running <nil>
	// adopted true <nil>
	// conflict
	// deleted <nil>
	// not_found <nil>
}
