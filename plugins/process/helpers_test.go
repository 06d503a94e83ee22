//go:build linux

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// rig is a provider on a state directory of its own, with what a test looks at.
type rig struct {
	*Provider
	t    testing.TB
	logs *lockedBuffer
	http *http.Client
}

// newRig opens a provider. off are the mechanisms that it leaves out.
func newRig(t testing.TB, config Config, off ...string) *rig {
	t.Helper()
	needNamespaces(t)
	if config.StateDir == "" {
		config.StateDir = stateDirFor(t)
	}
	r := openRig(t, config, off...)
	t.Cleanup(func() { r.removeAll() })
	return r
}

// openRig opens a provider whose sandboxes stay when the test ends.
func openRig(t testing.TB, config Config, off ...string) *rig {
	t.Helper()
	logs := &lockedBuffer{}
	p, err := New(config, Options{Logger: slog.New(slog.NewTextHandler(logs, nil)), off: off})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	transport := &http.Transport{DisableKeepAlives: true}
	return &rig{Provider: p, t: t, logs: logs, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// stateDirFor makes a directory that goes with the test.
func stateDirFor(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-process-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// removeAll removes what the test has left.
func (r *rig) removeAll() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	entries, err := os.ReadDir(r.dir.sandboxes)
	if err != nil {
		r.t.Error(err)
		return
	}
	for _, e := range entries {
		if !sandboxName.MatchString(e.Name()) {
			r.sweepOne(e.Name())
			continue
		}
		b, err := look(filepath.Join(r.dir.sandboxes, e.Name()))
		if err == nil {
			err = r.remove(ctx, b.dir, b.rec.ID)
		}
		if err != nil && !errors.Is(err, provider.NotFound) && !errors.Is(err, os.ErrNotExist) {
			r.t.Errorf("clean-up of %s: %v", e.Name(), err)
		}
	}
}

// newSpec is a Spec that works, with ids of its own: the agent, in the host's root.
func (r *rig) newSpec(change ...func(*provider.Spec)) provider.Spec {
	r.t.Helper()
	session := uuid.NewString()
	now := time.Now().UTC().Truncate(time.Microsecond)
	spec := provider.Spec{
		Name: "berth-" + world.owner + "-" + session, Owner: world.owner,
		SessionID: session, ChatID: uuid.NewString(), AgentID: "agent-7",
		Template: "default", RequestHash: "hash-1",
		CreatedAt: now, ExpiresAt: now.Add(5 * time.Minute),
		Env:       []provider.EnvVar{{Name: "AGENT_ID", Value: "agent-7"}},
		Mounts:    []provider.Mount{{Name: "agent", Source: filepath.Dir(world.agent), Target: "/agent", ReadOnly: true}},
		Command:   []string{"/agent/agent"},
		Port:      8000,
		Resources: provider.Resources{MemoryBytes: 128 << 20, NanoCPUs: 1e9, Pids: 64, Swap: provider.SwapAuto},
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

// command sets the command of a Spec: the agent with these arguments.
func command(args ...string) func(*provider.Spec) {
	return func(s *provider.Spec) { s.Command = append([]string{"/agent/agent"}, args...) }
}

// sandboxConfig sets the provider's part of a template.
func sandboxConfig(values string) func(*provider.Spec) {
	return func(s *provider.Spec) { s.Config = []byte(values) }
}

// delete removes a sandbox of this test's owner.
func (r *rig) delete(s provider.Sandbox) provider.Deleted {
	r.t.Helper()
	deleted, err := r.Delete(r.t.Context(), provider.DeleteRequest{ID: s.ID, Fence: fenceOf(s)})
	if err != nil {
		r.t.Fatal(err)
	}
	return deleted
}

func fenceOf(s provider.Sandbox) provider.Fence {
	return provider.Fence{Owner: s.Owner, SessionID: s.SessionID}
}

// get asks the agent of a sandbox, which may still be about to listen.
func (r *rig) get(s provider.Sandbox, path string) (status int, body string) {
	r.t.Helper()
	if s.Endpoint == nil {
		r.t.Fatal("the sandbox has no endpoint")
	}
	end := time.Now().Add(20 * time.Second)
	for {
		answer, err := r.http.Get(fmt.Sprintf("http://%s:%d%s", s.Endpoint.IP, s.Endpoint.Port, path))
		if err == nil {
			b, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				r.t.Fatal(err)
			}
			return answer.StatusCode, string(b)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(end) {
			r.t.Fatalf("%s: %v\n%s", path, err, r.logTail(r.dir.box(s.Name), 3))
		}
		_ = pause(r.t.Context(), time.Millisecond)
	}
}

// probe lets the agent try something. ok: it was able to; text is what it got or the refusal.
func (r *rig) probe(s provider.Sandbox, name string, args ...string) (text string, ok bool) {
	r.t.Helper()
	status, body := r.get(s, "/probe/"+name+"?"+url.Values{"arg": args}.Encode())
	if status != http.StatusOK && status != http.StatusForbidden {
		r.t.Fatalf("probe %s: status %d: %s", name, status, body)
	}
	return strings.TrimSpace(body), status == http.StatusOK
}

// await waits for a condition.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for wait := time.Millisecond; !holds(); wait = min(2*wait, 50*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
		_ = pause(context.Background(), wait)
	}
}

// lockedBuffer collects what is written by many.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
