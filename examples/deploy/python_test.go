package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// The Python client walks a sandbox from create to delete, and its errors are those that
// it promises: on Docker where a daemon answers, else on the provider that runs nothing.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not here")
	}
	s := serve(t)
	run := func(script string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), python, append([]string{"-W", "error", script, s.socket}, args...)...)
		cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=python")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s\n%s", script, err, out, s.log.String())
		}
		return string(out)
	}
	out := run("python/berth.py")
	for _, want := range []string{"created ", " answers 200: hello", "extended until", "1 active, ours is among them", "stop: stopped", "delete: deleted"} {
		if !strings.Contains(out, want) {
			t.Errorf("berth.py does not say %q:\n%s", want, out)
		}
	}
	run("testdata/client.py", s.dir)
}

// served is a host: the command, as a process of its own.
type served struct {
	dir, socket string
	log         *buffer
}

// serve runs a host on Docker, or where no daemon answers on the mock plugin, whose
// endpoint is then a server of the test.
func serve(t *testing.T) served {
	t.Helper()
	s := served{dir: shortDir(t), log: &buffer{}}
	s.socket = filepath.Join(s.dir, "state", "berth.sock")
	path := filepath.Join(s.dir, "config.hcl")
	if err := os.WriteFile(path, []byte(s.config(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "volumes"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(built(t), "bin/berth"), "serve", "--config", path)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("berth serve: %v\n%s", err, s.log.String())
		}
	})
	awaitReady(t, s.socket, s.log.String)
	return s
}

func (s served) config(t *testing.T) string {
	t.Helper()
	text := fmt.Sprintf("state_dir = %q\nvolume_roots = [%q]\n", filepath.Join(s.dir, "state"), filepath.Join(s.dir, "volumes"))
	template := "template %q {\n  provider = %q\n  image = %q\n  network = %q\n  port = 8000\n  ready {\n    tcp = true\n  }\n}\n"
	limited := "template \"one\" {\n  provider = %q\n  image = %q\n  network = %q\n  limits {\n    sessions = 1\n  }\n}\n"
	api, err := daemon(t)
	if err != nil {
		if os.Getenv("BERTH_REQUIRE_DOCKER") != "" {
			t.Fatalf("BERTH_REQUIRE_DOCKER is set, and no Docker daemon answers: %v", err)
		}
		agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") }))
		t.Cleanup(agent.Close)
		ip, port, _ := net.SplitHostPort(agent.Listener.Addr().String())
		text += fmt.Sprintf("provider \"mock\" {\n  config {\n    ip   = %q\n    port = %s\n  }\n}\n", ip, port)
		text += "template \"broken\" {\n  provider = \"mock\"\n  image = \"none\"\n  config {\n    create_error = \"internal\"\n  }\n}\n"
		return text + fmt.Sprintf(template, "default", "mock", "agent:1", "none") + fmt.Sprintf(limited, "mock", "agent:1", "none")
	}
	id := uuid.NewString()[:8]
	owner := "deploy-" + id
	f := dockertest.Fixture{Image: "berth-deploy-" + id + "-agent:latest", Network: "berth-deploy-" + id,
		Agent: filepath.Join(built(t), "agent"), Labels: []string{"berth.owner=" + owner}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := dockertest.Down(ctx, api, f); err != nil {
			t.Error(err)
		}
	})
	if err := dockertest.Up(t.Context(), api, f); err != nil {
		t.Fatal(err)
	}
	text += fmt.Sprintf("owner = %q\nprovider \"docker\" {\n  config {\n    pull = \"never\"\n  }\n}\n", owner)
	text += fmt.Sprintf("template \"broken\" {\n  provider = \"docker\"\n  image = %q\n  network = %q\n  command = [\"/agent\", \"-exit\", \"3\"]\n}\n", f.Image, f.Network)
	return text + fmt.Sprintf(template, "default", "docker", f.Image, f.Network) + fmt.Sprintf(limited, "docker", f.Image, f.Network)
}

// buffer keeps what a process prints. It may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
