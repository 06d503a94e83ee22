package sdk_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
	"github.com/berth-dev/berth/sdk/schemadoc"
)

// watched is a provider that does something beside its calls.
type watched struct{ provider.Provider }

// newWatched begins a goroutine that Drain ends and waits for.
func newWatched(env sdk.Env, inner provider.Provider, every time.Duration) *watched {
	env.Go(func(ctx context.Context) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				env.Logger.DebugContext(ctx, "still watching")
			}
		}
	})
	return &watched{inner}
}

// Close is called at the end, when no call is in flight and the goroutine has ended.
func (w *watched) Close() error {
	fmt.Println("closed")
	return nil
}

func ExampleEnv_Go() {
	type none struct{}
	plugin := sdk.Define(sdk.Definition[none, none]{Name: "watched", Open: func(_ context.Context, env sdk.Env, _ none) (provider.Provider, error) {
		return newWatched(env, mem.NewBackend("b").Provider(), time.Minute), nil
	}})
	ctx := context.Background()
	if _, err := plugin.Configure(ctx, provider.ConfigureRequest{Owner: "owner"}); err != nil {
		fmt.Println(err)
	}
	if err := plugin.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: closed
}

func ExampleSchemaOf() {
	type Limits struct {
		Files int64 `berth:"files,optional" default:"1024" min:"16" doc:"How many files may be open."`
	}
	type Config struct {
		Dir    string        `berth:"dir,required" doc:"Where sandboxes live."`
		Token  string        `berth:"token,optional,sensitive" doc:"For the backend."`
		Wait   time.Duration `berth:"wait,optional" default:"5s" max:"1m" doc:"For the backend."`
		Size   sdk.Bytes     `berth:"size,optional" default:"64MiB" doc:"Of a disk."`
		Limits Limits        `berth:"limits,optional" doc:"Of each sandbox."`
	}
	if err := schemadoc.Text(os.Stdout, "", sdk.SchemaOf[Config]()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// dir  string, required
	//     Where sandboxes live.
	// token  string
	//     For the backend. It is a secret: it is never shown.
	// wait  duration, default "5s"
	//     For the backend. At most 1m0s.
	// size  bytes, default "64MiB"
	//     Of a disk.
	// limits  block
	//     Of each sandbox.
	// limits.files  int, default 1024
	//     How many files may be open. At least 16.
}

func ExampleDecode() {
	type Sandbox struct {
		Wait time.Duration `berth:"wait,optional"`
	}
	spec := provider.Spec{Config: []byte(`{"wait": "90s"}`)}
	settings, err := sdk.Decode[Sandbox](spec.Config)
	fmt.Println(settings.Wait, err)
	// Output: 1m30s <nil>
}

func ExampleVerb() {
	hello := sdk.Verb{Name: "hello", Doc: "say who this is", Run: func(ctx context.Context, h sdk.Hand) int {
		info, err := h.Plugin.Info(ctx)
		if err != nil {
			fmt.Fprintln(h.Err, err)
			return sdk.StatusFailed
		}
		fmt.Fprintln(h.Out, "I am", info.Name)
		return sdk.StatusDone
	}}
	// A plugin's main is: sdk.Serve(plugin, hello)
	status := hello.Run(context.Background(), sdk.Hand{Plugin: handy(), Out: os.Stdout, Err: os.Stderr})
	fmt.Println(status)
	// Output:
	// I am handy
	// 0
}
