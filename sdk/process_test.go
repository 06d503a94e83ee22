package sdk_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/internal/wire"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// pluginMode makes this test binary a plugin.
const pluginMode = "BERTH_TEST_PLUGIN"

func TestMain(m *testing.M) {
	switch os.Getenv(pluginMode) {
	case "1":
		sdk.Serve(talkative())
	case "hand":
		sdk.Serve(handy(), sdk.Verb{Name: "greet", Args: "NAME", Doc: "say hello", Run: greet})
	case "documented":
		main()
	case "background":
		sdk.Serve(withBackground())
	}
	os.Exit(m.Run())
}

// talkative logs inside a span, holds a call of Get until the test lets go,
// and prints where it may not.
func talkative() provider.Plugin {
	type none struct{}
	return sdk.Define(sdk.Definition[none, none]{
		Name: "talkative", Version: "1.2.3",
		Open: func(ctx context.Context, env sdk.Env, _ none) (provider.Provider, error) {
			b := mem.NewBackend("b")
			ctx, span := trace.NewTracerProvider().Tracer("t").Start(ctx, "open")
			defer span.End()
			env.Logger.With("k", 1).WithGroup("g").WarnContext(ctx, "two\nlines", "in", "group")
			hold := make(chan struct{})
			b.Fail(mem.Get, mem.Fault{Times: 1, Hold: hold, Deaf: true})
			go func() {
				// A pipe with a name: opening it waits for the test to open it too.
				if f, err := os.Open(os.Getenv("BERTH_TEST_RELEASE")); err == nil {
					f.Close()
					close(hold)
				}
			}()
			return b.Provider(), nil
		},
	})
}

// process is a plugin process that a test started.
type process struct {
	cmd      *exec.Cmd
	client   *wire.Client
	conn     *grpc.ClientConn
	lifeline *os.File // the host's end
	release  string
	stderr   chan string
	done     chan struct{} // closed when it has ended
}

// start starts a plugin, with more variables, and configures it.
func start(t *testing.T, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "p")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	release := filepath.Join(dir, "release")
	if err := syscall.Mkfifo(release, 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(self), lifeline: w, release: release, stderr: make(chan string, 1000), done: make(chan struct{})}
	p.cmd.Env = append([]string{pluginMode + "=1", wire.Handshake.MagicCookieKey + "=" + wire.Handshake.MagicCookieValue,
		wire.LifelineEnv + "=3", "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + dir, "BERTH_TEST_RELEASE=" + p.release}, env...)
	p.cmd.ExtraFiles = []*os.File{r}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("no handshake: %v", err)
	}
	read := make(chan struct{}, 2)
	go func() { io.Copy(io.Discard, out); read <- struct{}{} }()
	go func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.stderr <- s.Text()
		}
		close(p.stderr)
		read <- struct{}{}
	}()
	go func() { <-read; <-read; p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.done; w.Close() })

	parts := strings.Split(strings.TrimSpace(line), "|")
	if len(parts) < 5 || parts[1] != "1" || parts[2] != "unix" || parts[4] != "grpc" {
		t.Fatalf("handshake %q", line)
	}
	if p.conn, err = grpc.NewClient("unix:"+parts[3], append(wire.DialOptions(nil), grpc.WithTransportCredentials(insecure.NewCredentials()))...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	p.client = wire.NewClient(p.conn)
	if _, err := p.client.Configure(t.Context(), provider.ConfigureRequest{Owner: "o"}); err != nil {
		t.Fatal(err)
	}
	return p
}

// ends waits for the process and returns how it ended.
func (p *process) ends(t *testing.T, within time.Duration) *os.ProcessState {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState
	case <-time.After(within):
		t.Fatalf("it still runs after %s", within)
		return nil
	}
}

func TestServeLifeline(t *testing.T) {
	p := start(t)
	p.lifeline.Close()
	if s := p.ends(t, 2*time.Second); s.ExitCode() != 0 {
		t.Errorf("ended with %v", s)
	}
}

func TestServeSignals(t *testing.T) {
	p := start(t)
	// A call is in flight, and SIGTERM comes.
	answered := make(chan error, 1)
	go func() {
		_, err := p.client.Provider().Get(t.Context(), provider.Ref{ID: "none"})
		answered <- err
	}()
	until(t, "the call is in flight", func() bool {
		h, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.client.Provider().Get(h, provider.Ref{ID: "other"}) // the second call is not held
		return errors.Is(err, provider.NotFound)
	})
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGPIPE, syscall.SIGINT} {
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.client.Info(t.Context()); err != nil {
		t.Errorf("after SIGINT and SIGPIPE: %v", err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "new calls are refused", func() bool {
		_, err := p.client.Provider().Health(t.Context())
		return errors.Is(err, provider.Unavailable) && strings.Contains(err.Error(), "draining")
	})
	release, err := os.OpenFile(p.release, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	release.Close()
	if err := <-answered; !errors.Is(err, provider.NotFound) {
		t.Errorf("the call in flight was answered with %v", err)
	}
	if s := p.ends(t, 4*time.Second); s.ExitCode() != 0 {
		t.Errorf("ended with %v", s)
	}
}

// TestServeNoSocket wants a reason on stderr when the plugin can't serve.
func TestServeNoSocket(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{pluginMode + "=1", wire.Handshake.MagicCookieKey + "=" + wire.Handshake.MagicCookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + filepath.Join(t.TempDir(), "missing")}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	if out.Len() > 0 || !strings.Contains(errs.String(), "no such file") {
		t.Errorf("stdout %q, stderr %q", &out, &errs)
	}
}

func TestServeLog(t *testing.T) {
	p := start(t)
	line := <-p.stderr
	var entry map[string]any
	if err := json.Unmarshal([]byte(line), &entry); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if entry["@message"] != "two\nlines" || entry["@level"] != "warn" || entry["@module"] != "talkative" || entry["k"] != 1.0 {
		t.Errorf("%q", line)
	}
	at, _ := entry["@timestamp"].(string)
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", at); err != nil {
		t.Error(err)
	}
	if id, _ := entry["trace_id"].(string); len(id) != 32 {
		t.Errorf("trace id in %q", line)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}
