//go:build !linux

package process

import (
	"runtime"

	"github.com/berth-dev/berth/sdk/provider"
)

func open(Config, Options) (provider.Provider, error) {
	return nil, &provider.Error{Class: provider.Unsupported, Op: "open",
		Message: "sandboxes as process trees need Linux, and this is " + runtime.GOOS + "; use the Docker provider here"}
}
