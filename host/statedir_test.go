package host_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/launch"
)

// The configuration refuses the state_dir in which plugins could not have sockets, and no
// shorter one: it knows package launch's limit.
func TestStateDirHasRoomForSockets(t *testing.T) {
	for n := 50; n < 80; n++ {
		dir := "/" + strings.Repeat("s", n-1)
		_, diags := config.Parse([]byte(`state_dir = "`+dir+`"`), "test.hcl")
		var bad *launch.Error
		refused := errors.As(launch.CheckRunDir(filepath.Join(dir, "run")), &bad) && bad.Reason == launch.PathTooLong
		if diags.HasErrors() != refused {
			t.Errorf("with %d bytes, the configuration says %v, and the launch %v", n, diags, bad)
		}
	}
}
