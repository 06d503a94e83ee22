package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/mount"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// docker-provider.md, create 3: mounts of type bind, in order, two of them read-only.
func TestCreate3Mounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	root := t.TempDir()
	var mounts []provider.Mount
	for _, m := range []provider.Mount{
		{Name: "chat", Target: "/workspace/chat"},
		{Name: "dependencies", Target: "/workspace/dependencies", ReadOnly: true},
		{Name: "lambda-tools", Target: "/workspace/lambda-tools", ReadOnly: true},
		{Name: "volume", Target: "/workspace/volume"},
	} {
		m.Source = filepath.Join(root, m.Name)
		if err := os.Mkdir(m.Source, 0o777); err != nil {
			t.Fatal(err)
		}
		mounts = append(mounts, m)
	}
	spec := r.newSpec(func(s *provider.Spec) { s.Mounts = mounts })
	created := r.create(spec)

	c := r.inspectRaw(created.Sandbox.ID)
	if len(c.HostConfig.Binds) != 0 {
		t.Errorf("Binds are used: %v", c.HostConfig.Binds)
	}
	if len(c.HostConfig.Mounts) != len(mounts) {
		t.Fatalf("%d mounts, want %d", len(c.HostConfig.Mounts), len(mounts))
	}
	for i, m := range c.HostConfig.Mounts {
		want := mount.Mount{Type: mount.TypeBind, Source: mounts[i].Source, Target: mounts[i].Target, ReadOnly: mounts[i].ReadOnly}
		if m.Type != want.Type || m.Source != want.Source || m.Target != want.Target || m.ReadOnly != want.ReadOnly || m.BindOptions != nil {
			t.Errorf("mount %d is %+v, want %+v", i, m, want)
		}
	}
	for _, m := range mounts {
		code, body := r.request(http.MethodPut, created.Sandbox.Endpoint, "/write"+m.Target+"/file?text=hello")
		if m.ReadOnly {
			if code != http.StatusForbidden || !strings.Contains(body, "read-only file system") {
				t.Errorf("write to %s: %d %s, want it refused as read-only", m.Target, code, body)
			}
			continue
		}
		if code != http.StatusOK {
			t.Errorf("write to %s: %d %s", m.Target, code, body)
		}
		if b, err := os.ReadFile(filepath.Join(m.Source, "file")); err != nil || string(b) != "hello" {
			t.Errorf("the host reads %q, %v", b, err)
		}
	}
}

// create 3: the daemon must never create a missing source.
func TestCreate3MissingSource(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	missing := filepath.Join(t.TempDir(), "missing")
	spec := r.newSpec(func(s *provider.Spec) {
		s.Mounts = []provider.Mount{{Name: "chat", Source: missing, Target: "/workspace/chat"}}
	})
	_, err := r.Create(t.Context(), spec)
	wantFailure(t, err, provider.NotFound, codeStart, spec.ChatID, "bind source path does not exist: "+missing)
	r.wantNothing(spec)
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the source was created: %v", err)
	}
}

// create 4: AGENT_ID and the variables of the Spec, and what the image itself has.
func TestCreate4Environment(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec(func(s *provider.Spec) {
		s.Env = []provider.EnvVar{{Name: "AGENT_ID", Value: "agent-7"}, {Name: "LOG_LEVEL", Value: "a=b c"}, {Name: "EMPTY", Value: ""}}
	})
	created := r.create(spec)
	if got, want := r.inspectRaw(created.Sandbox.ID).Config.Env[:3], []string{"AGENT_ID=agent-7", "LOG_LEVEL=a=b c", "EMPTY="}; !slices.Equal(got, want) {
		t.Errorf("env is %q, want %q", got, want)
	}
	got := r.env(created.Sandbox.Endpoint)
	for _, name := range []string{"PATH", "HOSTNAME", "HOME"} { // Docker's own
		delete(got, name)
	}
	if want := map[string]string{"AGENT_ID": "agent-7", "LOG_LEVEL": "a=b c", "EMPTY": ""}; !maps.Equal(got, want) {
		t.Errorf("the agent sees %q, want %q", got, want)
	}
}

// create 5: the six labels by their exact keys and formats, and Berth's own.
func TestCreate5Labels(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	fraction := r.newSpec(func(s *provider.Spec) {
		s.ExpiresAt = time.Date(2096, 4, 2, 12, 5, 0, 123456000, time.UTC)
		s.VolumeHostPath = "/srv/volumes/a"
	})
	bare := r.newSpec(func(s *provider.Spec) {
		s.ExpiresAt = time.Date(2096, 4, 2, 14, 5, 0, 0, time.FixedZone("", 7200))
		s.AgentID, s.Port = "", 0
	})
	for _, test := range []struct {
		spec                          provider.Spec
		agent, volume, port, deadline string
	}{
		{fraction, "agent-7", "/srv/volumes/a", "8000", "2096-04-02T12:05:00.123456+00:00"},
		{bare, "", "", "0", "2096-04-02T12:05:00+00:00"},
	} {
		created := r.create(test.spec)
		got := r.inspectRaw(created.Sandbox.ID).Config.Labels
		want := map[string]string{
			"session_id": test.spec.SessionID, "chat_id": test.spec.ChatID,
			"agent_id": test.agent, "volume_host_path": test.volume,
			"endpoint_port": test.port, "expires_at": test.deadline,
			"berth.owner": world.owner, "berth.template": "default", "berth.request_hash": "hash-1",
			"berth.name": test.spec.Name, "berth.network": world.network, "berth.endpoint": "network",
			"berth.image": world.image, "berth.digest": test.spec.Digest,
			"berth.fixture": "true", // the image's
		}
		if !maps.Equal(got, want) {
			t.Errorf("labels are\n%q, want\n%q", got, want)
		}
	}
}

// create 6: the container joins the network, and its address there is the endpoint's.
func TestCreate6Network(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	created := r.create(r.newSpec())
	entry := r.inspectRaw(created.Sandbox.ID).NetworkSettings.Networks[world.network]
	if entry == nil || entry.IPAddress == "" {
		t.Fatalf("the container has no entry for network %s", world.network)
	}
	if e := created.Sandbox.Endpoint; e == nil || e.IP != entry.IPAddress || e.Port != 8000 {
		t.Errorf("endpoint is %+v, want %s:8000", e, entry.IPAddress)
	}
	if got := r.get(created.Sandbox.Endpoint, "/"); got != "hello from agent agent-7\n" {
		t.Errorf("the agent says %q", got)
	}
}

// create 6: a network may be named by its id.
func TestCreate6NetworkByID(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	net, err := r.api.NetworkInspect(t.Context(), world.network, networkInspect)
	if err != nil {
		t.Fatal(err)
	}
	created := r.create(r.newSpec(func(s *provider.Spec) { s.Network = net.ID }))
	r.get(created.Sandbox.Endpoint, "/healthz")
	if s, _ := r.listed(created.Sandbox.ID); s == nil || s.Endpoint == nil || *s.Endpoint != *created.Sandbox.Endpoint {
		t.Errorf("list tells %+v, want endpoint %+v", s, created.Sandbox.Endpoint)
	}
}

// create 6: failures after the container exists leave nothing, and carry its last lines.
func TestCreate6FailureLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	for _, test := range []struct {
		name   string
		change func(*provider.Spec)
		class  provider.Class
		text   string
		exits  bool // Docker's init starts, and ends with the command: it shows to who looks
	}{
		{"network missing", func(s *provider.Spec) { s.Network = "berth-no-such-network" }, provider.NotFound, "network berth-no-such-network not found", false},
		{"command missing", command("/nothing/here"), provider.Internal, "o such file or directory", true},
		{"command not executable", command("/workspace"), provider.Internal, "ermission denied", true},
		{"user missing", sandboxConfig(`{"user":"nobody-here"}`), provider.Internal, "nobody-here", false},
		{"exits at once", command("/agent", "-print=60", "-exit=3"), provider.Internal, "exited at once with code 3", true},
		{"too many cpus", func(s *provider.Spec) { s.Resources.NanoCPUs = 4096e9 }, provider.InvalidArgument, "CPUs", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := r.newSpec(test.change, func(s *provider.Spec) { s.ConfirmStart = test.exits })
			_, err := r.Create(t.Context(), spec)
			wantFailure(t, err, test.class, codeStart, spec.ChatID, test.text)
			r.wantNothing(spec)
		})
	}
}

// create 6: the last 50 lines of the log are in the error before the container goes, in
// its field and in its text, also when the caller's context is done.
func TestCreate6UndoTellsTheLastLines(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	id := r.raw("berth-undo-"+uuid.NewString(), map[string]string{labelOwner: world.owner}, true, "/agent", "-print=60", "-exit=3")
	eventually(t, "its end", func() bool { return !r.inspectRaw(id).State.Running })
	left, leave := context.WithCancel(t.Context())
	leave()
	err := r.undo(left, id, errors.New("it did not start"))
	tail := provider.LogTailOf(err)
	lines := strings.Split(tail, "\n")
	if len(lines) != 50 || !strings.Contains(tail, "line 58") || !strings.Contains(tail, "line 59") {
		t.Errorf("%d lines in the log tail, want the last 50:\n%s", len(lines), tail)
	}
	if !strings.Contains(err.Error(), tail) || !strings.Contains(err.Error(), "it did not start") {
		t.Errorf("the error's text lacks the log tail or the cause: %v", err)
	}
	if _, err := r.Get(t.Context(), provider.Ref{ID: id}); !errors.Is(err, provider.NotFound) {
		t.Errorf("the container is there: %v", err)
	}
}

// create 8: the result.
func TestCreate8Result(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec(func(s *provider.Spec) { s.VolumeHostPath = "/srv/volumes/a" })
	created := r.create(spec)
	if created.Outcome != provider.OutcomeCreated {
		t.Errorf("outcome is %q", created.Outcome)
	}
	info, err := r.api.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := info.ID + "@" + info.DockerRootDir; created.Identity != want || info.ID == "" {
		t.Errorf("identity is %q, want %q", created.Identity, want)
	}
	got := created.Sandbox
	want := provider.Sandbox{
		ID: r.inspectRaw(spec.Name).ID, Name: spec.Name, State: provider.StateRunning, Owner: spec.Owner,
		SessionID: spec.SessionID, ChatID: spec.ChatID, AgentID: spec.AgentID, Template: spec.Template,
		RequestHash: spec.RequestHash, CreatedAt: r.madeAt(spec.Name), ExpiresAt: spec.ExpiresAt,
		VolumeHostPath: spec.VolumeHostPath, Endpoint: got.Endpoint,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("sandbox is\n%+v, want\n%+v", got, want)
	}
}

// wantFailure checks an error's class, code and words.
func wantFailure(t *testing.T, err error, class provider.Class, code string, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if !errors.Is(err, class) || provider.ClassOf(err) != class {
		t.Errorf("class is %q, want %q: %v", provider.ClassOf(err), class, err)
	}
	var coded *provider.Error
	if !errors.As(err, &coded) || coded.Code != code {
		t.Errorf("code is not %q: %#v", code, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
}
