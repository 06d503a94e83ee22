package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse reads a configuration; DIR in it is a fresh directory of the test's.
func parse(t testing.TB, text string) (*config.Config, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-") // short: sockets live below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cfg, diags := config.Parse([]byte(strings.ReplaceAll(text, "DIR", dir)), "test.hcl")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg, dir
}

const small = `
state_dir = "DIR/state"
metrics { address = "127.0.0.1:0" }
lifecycle { stop_grace = "1s" }
provider "mem" {}
template "default" {
  provider = "mem"
  image    = "agent:1"
  network  = "sandbox"
}
`

// run runs a host until the test ends, and fails the test with Run's error.
func run(t *testing.T, cfg *config.Config, opts host.Options) *host.Host {
	t.Helper()
	h, err := host.New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

func linked(b *mem.Backend) host.Options {
	return host.Options{Providers: map[string]provider.Plugin{"mem": mem.Plugin(b)}}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// fetch gets one of the endpoints.
func fetch(t *testing.T, h *host.Host, path string) (int, string) {
	t.Helper()
	res, err := http.Get("http://" + h.MetricsAddress() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestEndpoints(t *testing.T) {
	cfg, _ := parse(t, small)
	b := mem.NewBackend("memory")
	h := run(t, cfg, linked(b))
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Create(within(t), host.CreateRequest{Template: "default", ChatID: chat}); err != nil {
		t.Fatal(err)
	}
	if status, body := fetch(t, h, "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", status, body)
	}
	status, body := fetch(t, h, "/readyz")
	if status != 200 || !strings.Contains(body, `"ready":true`) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	status, body = fetch(t, h, "/metrics")
	if status != 200 {
		t.Errorf("/metrics: %d", status)
	}
	for _, want := range []string{
		`berth_sessions{provider="mem",status="running",template="default"} 1`,
		`sandbox_runtime_operation_duration_seconds_count{operation="create",provider="mem",result="created"} 1`,
		`berth_plugin_up{provider="mem"} 1`,
		`berth_lease_commit_seconds_count`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}

	b.SetAvailable(false)
	await(t, func() bool { status, _ := fetch(t, h, "/readyz"); return status == http.StatusServiceUnavailable })
	_, body = fetch(t, h, "/readyz")
	var answer struct {
		Ready     bool
		Providers []struct{ Name, State, Reason string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Ready || len(answer.Providers) != 1 || answer.Providers[0].State != "degraded" || answer.Providers[0].Reason == "" {
		t.Errorf("/readyz of a backend that is away: %s", body)
	}
	if status, _ := fetch(t, h, "/healthz"); status != 200 {
		t.Errorf("/healthz must not depend on a backend: %d", status)
	}
}

// await waits for a condition, for 20 s at most.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	ctx := within(t)
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("the condition did not come true")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestSecondHostOnTheSameStateDirIsRefused(t *testing.T) {
	cfg, dir := parse(t, small)
	h := run(t, cfg, linked(mem.NewBackend("memory")))
	_, err := host.New(cfg, linked(mem.NewBackend("memory")))
	want := "state_dir " + filepath.Join(dir, "state") + " is in use by the host with pid "
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s…", err, want)
	}
	if err := h.WaitReady(within(t)); err != nil {
		t.Errorf("the first host: %v", err)
	}
}

func TestSeveralHostsInOneProcess(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, name := range []string{"a", "b"} {
		cfg, _ := parse(t, small)
		opts := linked(mem.NewBackend("memory"))
		opts.Registerer = prometheus.WrapRegistererWith(prometheus.Labels{"host": name}, reg)
		h := run(t, cfg, opts)
		if err := h.WaitReady(within(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Create(within(t), host.CreateRequest{Template: "default", ChatID: chat}); err != nil {
			t.Fatal(err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "berth_sessions" && len(f.GetMetric()) == 2 {
			return
		}
	}
	t.Error("berth_sessions does not tell of both hosts")
}

func TestTwoHostsOnOneRegistererAreRefused(t *testing.T) {
	reg := prometheus.NewRegistry()
	cfg, _ := parse(t, small)
	opts := linked(mem.NewBackend("memory"))
	opts.Registerer = reg
	run(t, cfg, opts)
	second, _ := parse(t, small)
	if _, err := host.New(second, opts); err == nil || !strings.Contains(err.Error(), "WrapRegistererWith") {
		t.Errorf("got %v, want the remedy", err)
	}
}

// adopt and accept_backend reach the engine, from the file and from a reload.
func TestAdoptAndAcceptBackend(t *testing.T) {
	with := func(setting string) string {
		return strings.Replace(small, `provider "mem" {}`, `provider "mem" { `+setting+` }`, 1)
	}
	cfg, dir := parse(t, with(`adopt = ["unowned"]`))
	b := mem.NewBackend("memory")
	b.Put(provider.Sandbox{SessionID: chat, ChatID: chat, State: provider.StateRunning, ExpiresAt: time.Now().Add(time.Hour)})
	h := run(t, cfg, linked(b))
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if s, err := h.Get(t.Context(), chat); err != nil || s.Status != host.StatusRunning {
		t.Errorf("the unowned one: %+v, %v", s, err)
	}
	b.SetIdentity("other")
	await(t, func() bool { return h.Providers()[0].Changed })
	if reason := h.Providers()[0].Reason; !strings.Contains(reason, `write accept_backend = "other"`) {
		t.Errorf("the reason is %q", reason)
	}
	text := strings.ReplaceAll(with(`accept_backend = "other"`), "DIR", dir)
	next, diags := config.Parse([]byte(text), "test.hcl")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(within(t), next); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { s, err := h.Get(t.Context(), chat); return err == nil && s.Status == host.StatusEnded })
	if s, _ := h.Get(t.Context(), chat); s.Ended.Reason != host.ReasonLost {
		t.Errorf("it ended as %s", s.Ended.Reason)
	}
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestRequiredProviderThatCannotStartEndsTheHost(t *testing.T) {
	cfg, dir := parse(t, strings.Replace(small, `provider "mem" {}`, `provider "mem" {
		command  = "DIR/missing"
		required = true
	}`, 1))
	h, err := host.New(cfg, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = h.Run(within(t))
	if err == nil || !strings.Contains(err.Error(), `provider "mem" is required`) || !strings.Contains(err.Error(), dir+"/missing") {
		t.Errorf("Run: %v", err)
	}
	// It has let go of its state directory.
	again, err := host.New(cfg, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestRequiredProviderWhoseBackendIsAwayIsWaitedFor(t *testing.T) {
	cfg, _ := parse(t, strings.Replace(small, `provider "mem" {}`, `provider "mem" { required = true }`, 1))
	b := mem.NewBackend("memory")
	b.SetAvailable(false)
	h := run(t, cfg, linked(b))
	await(t, func() bool { return h.Providers()[0].State == "degraded" })
	b.SetAvailable(true)
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestLinkedProviderWithoutABlockIsRefused(t *testing.T) {
	cfg, _ := parse(t, small)
	_, err := host.New(cfg, host.Options{Providers: map[string]provider.Plugin{"other": mem.Plugin(mem.NewBackend("x"))}})
	if err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("got %v", err)
	}
}

// The host evaluates the template: directories, mounts, environment.
func TestSpecIsCompleteAndDirectoriesAreMade(t *testing.T) {
	cfg, dir := parse(t, `
		state_dir    = "DIR/state"
		volume_roots = ["DIR/volumes"]
		provider "mem" {}
		template "default" {
		  provider = "mem"
		  image    = "agent:1"
		  network  = "sandbox"
		  env      = { CHAT = session.chat_id }
		  mount "chat" {
		    source = "DIR/chats/${session.chat_id}"
		    target = "/workspace/chat"
		    create = true
		    mode   = "0750"
		  }
		  mount "volume" {
		    source = session.volume
		    target = "/workspace/volume"
		  }
		}
	`)
	for _, name := range []string{"chats", "volumes/mine", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h := run(t, cfg, linked(mem.NewBackend("memory")))
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	s, err := h.Create(within(t), host.CreateRequest{Template: "default", ChatID: strings.ToUpper(chat), Volume: filepath.Join(dir, "volumes", "mine")})
	if err != nil {
		t.Fatal(err)
	}
	if s.ChatID != chat || s.VolumeHostPath != filepath.Join(dir, "volumes", "mine") {
		t.Errorf("session: %+v", s)
	}
	info, err := os.Stat(filepath.Join(dir, "chats", chat))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o750 {
		t.Errorf("the chat's directory has mode %v", info.Mode().Perm())
	}
	_, err = h.Create(within(t), host.CreateRequest{Template: "default", ChatID: chat, Volume: filepath.Join(dir, "elsewhere")})
	if !errors.Is(err, host.CodeInvalidArgument) || !strings.Contains(err.Error(), "volume: ") {
		t.Errorf("a volume outside of volume_roots: %v", err)
	}
}
