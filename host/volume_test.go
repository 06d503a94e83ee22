package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// A volume that was inside volume_roots when it was asked for, and that leads elsewhere when
// the image is there, is mounted nowhere: neither itself, nor a directory in it.
func TestVolumeReplacedMeanwhile(t *testing.T) {
	for _, source := range []string{`session.volume`, `session.volume == null ? null : "${session.volume}/data"`} {
		t.Run(source, func(t *testing.T) {
			cfg, dir := parse(t, strings.Replace(small, `network  = "sandbox"`, `
				mount "volume" {
				  source = `+source+`
				  target = "/workspace/volume"
				}`, 1)+`volume_roots = ["DIR/volumes"]`)
			volume, elsewhere := filepath.Join(dir, "volumes", "team", "mine"), filepath.Join(dir, "elsewhere")
			for _, name := range []string{filepath.Join(volume, "data"), filepath.Join(elsewhere, "data")} {
				if err := os.MkdirAll(name, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			b := mem.NewBackend("memory")
			h := run(t, cfg, linked(b))
			if err := h.WaitReady(within(t)); err != nil {
				t.Fatal(err)
			}
			pulled := make(chan struct{})
			b.Fail(mem.Prepare, mem.Fault{Hold: pulled, Times: 1})
			failed := make(chan error, 1)
			ctx := within(t)
			go func() {
				_, err := h.Create(ctx, host.CreateRequest{Template: "default", ChatID: chat, Volume: volume})
				failed <- err
			}()
			await(t, func() bool { return b.Calls(mem.Prepare) > 0 })
			if err := os.Rename(volume, volume+".old"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(elsewhere, volume); err != nil {
				t.Fatal(err)
			}
			close(pulled)
			err := <-failed
			if !errors.Is(err, host.CodeInvalidArgument) || !strings.Contains(err.Error(), "volume: ") || !strings.Contains(err.Error(), "which is outside of volume_roots") {
				t.Errorf("got %v", err)
			}
			if n := b.Calls(mem.Create); n != 0 {
				t.Errorf("%d creates were sent", n)
			}
		})
	}
}
