package launch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-dev/berth/sdk/launch"
)

// One plugin process, from its binary to its end.
func ExampleStart() {
	dir, remove, err := launch.TempRunDir() // a host uses PrepareRunDir
	if err != nil {
		fmt.Println(err)
		return
	}
	defer remove()
	cache, err := os.MkdirTemp("", "cache-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(cache)

	ctx := context.Background()
	p, err := launch.Start(ctx, launch.Options{
		Name: "mock", Path: mockBinary, // and SHA256, where the operator has said which one it is
		CacheDir: filepath.Join(cache, "plugins"), RunDir: dir,
		Env: launch.Environment(os.Environ(), nil),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := p.Plugin().Info(ctx)
	fmt.Println(info.Name, info.Version, err)
	if err := p.Close(ctx); err != nil {
		fmt.Println(err)
	}
	<-p.Done()
	var exit *launch.ExitError
	fmt.Println(errors.As(p.Err(), &exit) && exit.Code == 0)
	// Output:
	// mock 1.0.0 <nil>
	// true
}
