package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// door is a unix socket before the daemon's that can be shut: connections break then, and
// new ones are refused.
type door struct {
	path string
	work sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]struct{}
}

func newDoor(t *testing.T) *door {
	dir, err := os.MkdirTemp("", "berth-door-")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{path: filepath.Join(dir, "s"), open: map[net.Conn]struct{}{}}
	t.Cleanup(func() { d.shut(); os.RemoveAll(dir) })
	return d
}

func (d *door) unlock(t *testing.T, to string) {
	l, err := net.Listen("unix", d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.listener = l
	d.mu.Unlock()
	d.work.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", to)
			if err != nil {
				in.Close()
				continue
			}
			d.mu.Lock()
			d.open[in], d.open[out] = struct{}{}, struct{}{}
			d.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				d.work.Go(func() {
					io.Copy(pair[0], pair[1])
					pair[0].Close()
					pair[1].Close()
				})
			}
		}
	})
}

func (d *door) shut() {
	d.mu.Lock()
	if d.listener != nil {
		d.listener.Close()
		d.listener = nil
	}
	for c := range d.open {
		c.Close()
	}
	clear(d.open)
	d.mu.Unlock()
	d.work.Wait()
}

// Promise 4, and issue row "daemon away": every verb fails as Unavailable with the
// daemon's own words, nothing is taken for absent, and later tries work without a restart.
func TestPromise4_DaemonAwayIsUnavailable(t *testing.T) {
	needDaemon(t)
	socket := socketFromEnv()
	if socket == "" {
		t.Skip("the daemon is not behind a unix socket")
	}
	d := newDoor(t)
	t.Setenv("DOCKER_HOST", "unix://"+d.path)
	r := openRig(t, Config{}, world.api) // while the daemon is away
	missing := uuid.NewString()
	f := provider.Fence{Owner: world.owner, SessionID: missing}
	verbs := map[string]func() error{
		"prepare": func() error {
			_, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: world.image})
			return err
		},
		"create": func() error {
			_, err := r.Create(t.Context(), provider.Spec{Name: "berth-x", Owner: world.owner, SessionID: missing, ChatID: missing, Network: world.network,
				Image: world.image, Digest: "sha256:" + missing, Resources: provider.Resources{MemoryBytes: 1 << 26, NanoCPUs: 1e9, Pids: 9}})
			return err
		},
		"get": func() error { _, err := r.Get(t.Context(), provider.Ref{ID: missing}); return err },
		"list": func() error {
			_, err := r.List(t.Context(), func(provider.Sandbox) error { return nil })
			return err
		},
		"stop": func() error { _, err := r.Stop(t.Context(), provider.StopRequest{ID: missing, Fence: f}); return err },
		"delete": func() error {
			_, err := r.Delete(t.Context(), provider.DeleteRequest{ID: missing, Fence: f})
			return err
		},
		"identity": func() error { _, err := r.Identity(t.Context()); return err },
		"events": func() error {
			return r.Events(t.Context(), func() { t.Error("ready without a daemon") }, func(provider.Event) error { return nil })
		},
	}
	codes := map[string]string{"prepare": codeStart, "create": codeStart, "list": codeList, "stop": codeStop, "delete": codeStop}
	away := func(when string) {
		for name, verb := range verbs {
			err := verb()
			var coded *provider.Error
			if !errors.Is(err, provider.Unavailable) || !errors.As(err, &coded) || coded.Code != codes[name] {
				t.Errorf("%s: %s answers %#v, want Unavailable with the code %q", when, name, err, codes[name])
			}
		}
		h, err := r.Health(t.Context())
		if err != nil || h.Available || h.Message == "" {
			t.Errorf("%s: health %+v, %v", when, h, err)
		}
	}
	away("before it ever answered")
	d.unlock(t, socket)
	identity, err := r.Identity(t.Context())
	if err != nil || identity == "" {
		t.Fatalf("it is back: %q, %v", identity, err)
	}
	broken := make(chan error, 1)
	listening := make(chan struct{})
	go func() {
		broken <- r.Events(context.Background(), func() { close(listening) }, func(provider.Event) error { return nil })
	}()
	<-listening
	spec := r.newSpec()
	id := r.create(spec).Sandbox.ID
	d.shut()
	if err := <-broken; !errors.Is(err, provider.Unavailable) {
		t.Errorf("a broken event stream: %v", err)
	}
	away("after it went away")
	d.unlock(t, socket)
	if s, err := r.Get(t.Context(), provider.Ref{ID: id}); err != nil || s.State != provider.StateRunning {
		t.Errorf("it is back again: %+v, %v", s, err)
	}
	if h, err := r.Health(t.Context()); err != nil || !h.Available || h.Identity != identity {
		t.Errorf("health: %+v, %v", h, err)
	}
}
