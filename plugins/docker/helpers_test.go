package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/berth-dev/berth/sdk/provider"
)

// rig is a provider with everything about it that a test looks at.
type rig struct {
	*Provider
	t     testing.TB
	spans *tracetest.SpanRecorder
	logs  *lockedBuffer
	api   *client.Client // looks past the provider
}

// newRig opens a provider on the shared daemon.
func newRig(t testing.TB, config Config) *rig {
	t.Helper()
	needDaemon(t)
	return openRig(t, config, world.api)
}

// openRig opens a provider on the daemon that the environment names.
func openRig(t testing.TB, config Config, api *client.Client) *rig {
	t.Helper()
	r := &rig{t: t, spans: tracetest.NewSpanRecorder(), logs: &lockedBuffer{}, api: api}
	p, err := New(config, Options{
		Logger:         slog.New(slog.NewTextHandler(r.logs, nil)),
		TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(r.spans)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Provider = p
	t.Cleanup(func() { _ = p.Close() })
	return r
}

// newSpec is a Spec that works, with ids of its own. Its container goes with the test.
func (r *rig) newSpec(change ...func(*provider.Spec)) provider.Spec {
	r.t.Helper()
	session := uuid.NewString()
	now := time.Now().UTC().Truncate(time.Microsecond)
	spec := provider.Spec{
		Name: "berth-" + world.owner + "-" + session, Owner: world.owner,
		SessionID: session, ChatID: uuid.NewString(), AgentID: "agent-7",
		Template: "default", RequestHash: "hash-1",
		CreatedAt: now, ExpiresAt: now.Add(5 * time.Minute),
		Image: world.image, Env: []provider.EnvVar{{Name: "AGENT_ID", Value: "agent-7"}},
		Network: world.network, Port: 8000,
		Resources: provider.Resources{MemoryBytes: 64 << 20, NanoCPUs: 5e8, Pids: 64, Swap: provider.SwapAuto},
	}
	for _, c := range change {
		c(&spec)
	}
	if spec.Digest == "" {
		prepared, err := r.Prepare(r.t.Context(), provider.PrepareRequest{Image: spec.Image, Config: spec.Config})
		if err != nil {
			r.t.Fatal(err)
		}
		spec.Digest = prepared.Digest
	}
	r.t.Cleanup(func() { r.removeByName(spec.Name) })
	return spec
}

// create makes a sandbox that must come to be.
func (r *rig) create(spec provider.Spec) provider.Created {
	r.t.Helper()
	created, err := r.Create(r.t.Context(), spec)
	if err != nil {
		r.t.Fatal(err)
	}
	return created
}

// command sets the command of a Spec.
func command(args ...string) func(*provider.Spec) {
	return func(s *provider.Spec) { s.Command = args }
}

// sandboxConfig sets the provider's part of a template.
func sandboxConfig(values string) func(*provider.Spec) {
	return func(s *provider.Spec) { s.Config = []byte(values) }
}

func (r *rig) removeByName(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := r.api.ContainerRemove(ctx, name, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsConflict(err) { // somebody else is removing it
		eventually(r.t, "the removal of "+name, func() bool {
			_, err := r.api.ContainerInspect(ctx, name)
			return cerrdefs.IsNotFound(err)
		})
		return
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		r.t.Errorf("clean-up of %s: %v", name, err)
	}
}

// removeImage removes an image, or one of its names; it may be gone already.
func removeImage(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := world.api.ImageRemove(ctx, name, image.RemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
		t.Errorf("clean-up of image %s: %v", name, err)
	}
}

// inspectRaw asks the daemon, past the provider.
func (r *rig) inspectRaw(id string) container.InspectResponse {
	r.t.Helper()
	c, err := r.api.ContainerInspect(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// wantNothing fails when a container of the session exists.
func (r *rig) wantNothing(spec provider.Spec) {
	r.t.Helper()
	found, err := r.api.ContainerList(r.t.Context(), container.ListOptions{All: true,
		Filters: filters.NewArgs(filters.Arg("label", labelSessionID+"="+spec.SessionID))})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(found) != 0 {
		r.t.Errorf("a container is left behind: %s (%s)", found[0].ID, found[0].Status)
	}
}

// raw makes a container past the provider, which goes with the test.
func (r *rig) raw(name string, labels map[string]string, start bool, cmd ...string) string {
	r.t.Helper()
	made, err := r.api.ContainerCreate(r.t.Context(),
		&container.Config{Image: world.image, Labels: labels, Cmd: cmd},
		&container.HostConfig{NetworkMode: container.NetworkMode(world.network)}, nil, nil, name)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.removeByName(made.ID) })
	if start {
		if err := r.api.ContainerStart(r.t.Context(), made.ID, container.StartOptions{}); err != nil {
			r.t.Fatal(err)
		}
	}
	return made.ID
}

// fence is the fence of the host that made spec.
func fence(spec provider.Spec) provider.Fence {
	return provider.Fence{Owner: spec.Owner, SessionID: spec.SessionID}
}

// listed returns what List yields of one container, and the summary.
func (r *rig) listed(id string) (*provider.Sandbox, provider.ListSummary) {
	r.t.Helper()
	var found *provider.Sandbox
	summary, err := r.List(r.t.Context(), func(s provider.Sandbox) error {
		if s.ID == id {
			found = &s
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found, summary
}

// get fetches a path of the agent in a sandbox, once it answers.
func (r *rig) get(e *provider.Endpoint, path string) string {
	r.t.Helper()
	code, body := r.request(http.MethodGet, e, path)
	if code != http.StatusOK {
		r.t.Fatalf("GET %s: %d %s", path, code, body)
	}
	return body
}

func (r *rig) request(method string, e *provider.Endpoint, path string) (int, string) {
	r.t.Helper()
	if e == nil {
		r.t.Fatal("the sandbox has no endpoint")
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	var code int
	var body []byte
	eventually(r.t, "the agent's answer", func() bool {
		req, err := http.NewRequestWithContext(r.t.Context(), method, fmt.Sprintf("http://%s:%d%s", e.IP, e.Port, path), nil)
		if err != nil {
			r.t.Fatal(err)
		}
		resp, err := web.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		code = resp.StatusCode
		body, err = io.ReadAll(resp.Body)
		return err == nil
	})
	return code, string(body)
}

// env returns the environment that the agent in a sandbox sees.
func (r *rig) env(e *provider.Endpoint) map[string]string {
	r.t.Helper()
	var list []string
	if err := json.Unmarshal([]byte(r.get(e, "/env")), &list); err != nil {
		r.t.Fatal(err)
	}
	out := map[string]string{}
	for _, v := range list {
		name, value, _ := strings.Cut(v, "=")
		out[name] = value
	}
	return out
}

// eventually waits for a condition, for at most half a minute.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for !ok() {
		if pause(ctx) != nil {
			t.Fatalf("%s: not within 30s", what)
		}
	}
}

// span returns the only ended span of that name.
func (r *rig) span(name string) trace.ReadOnlySpan {
	r.t.Helper()
	var found []trace.ReadOnlySpan
	for _, s := range r.spans.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		r.t.Fatalf("%d spans %s, want 1", len(found), name)
	}
	return found[0]
}

// wantFailedLog checks that the log tells of one such failure, with the code, and what it is
// about: a key and its value.
func (r *rig) wantFailedLog(what, code, key, value string) {
	r.t.Helper()
	var told []string
	for line := range strings.Lines(r.logs.String()) {
		if strings.Contains(line, fmt.Sprintf(" msg=%q ", what)) {
			told = append(told, line)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], " code="+code+" ") || !strings.Contains(told[0], " "+key+"="+value+" ") {
		r.t.Errorf("the log tells %q, want %s with code=%s and %s=%s, once", told, what, code, key, value)
	}
}

// attributes returns a span's attributes as text.
func attributes(list []attribute.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// socketFromEnv is the path of the daemon's unix socket, or "".
func socketFromEnv() string {
	u, err := client.ParseHostURL(hostFromEnv())
	if err != nil || u.Scheme != "unix" {
		return ""
	}
	return u.Host
}
