//go:build linux

package process

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/sdk/provider"
)

// A sandbox answers by HTTP, and is gone when it was deleted.
func TestCreateServeDelete(t *testing.T) {
	r := newRig(t, Config{})
	spec := r.newSpec()
	created := r.create(spec)
	s := created.Sandbox
	if created.Outcome != provider.OutcomeCreated || s.State != provider.StateRunning || created.Identity == "" {
		t.Errorf("created = %+v", created)
	}
	if status, body := r.get(s, "/"); status != 200 || body != "hello from agent agent-7\n" {
		t.Errorf("GET /: %d %q", status, body)
	}
	if _, body := r.get(s, "/env"); body != `["AGENT_ID=agent-7","PATH=`+defaultPath+"\",\"PORT=8000\"]\n" {
		t.Errorf("environment = %s", body)
	}
	for _, ref := range []provider.Ref{{ID: s.ID}, {Name: spec.Name}} {
		got, err := r.Get(t.Context(), ref)
		if err != nil || got.ID != s.ID || got.State != provider.StateRunning || *got.Endpoint != *s.Endpoint {
			t.Errorf("Get %v = %+v, %v", ref, got, err)
		}
		if got.SessionID != spec.SessionID || got.ChatID != spec.ChatID || got.AgentID != spec.AgentID || got.Owner != spec.Owner ||
			got.Template != spec.Template || got.RequestHash != spec.RequestHash || !got.ExpiresAt.Equal(spec.ExpiresAt) {
			t.Errorf("Get %v = %+v, which is not what was asked for", ref, got)
		}
	}
	if d := r.delete(s); d.Outcome != provider.OutcomeDeleted {
		t.Errorf("Delete = %+v", d)
	}
	if d := r.delete(s); d.Outcome != provider.OutcomeNotFound {
		t.Errorf("second Delete = %+v", d)
	}
	for _, ref := range []provider.Ref{{ID: s.ID}, {Name: spec.Name}} {
		if _, err := r.Get(t.Context(), ref); provider.ClassOf(err) != provider.NotFound {
			t.Errorf("Get %v after Delete: %v", ref, err)
		}
	}
}

// What a template sets is not set for it, and without a port there is no PORT.
func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		vars []provider.EnvVar
		port int
		want []string
	}{
		{nil, 0, []string{"PATH=" + defaultPath}},
		{nil, 80, []string{"PATH=" + defaultPath, "PORT=80"}},
		{[]provider.EnvVar{{Name: "PORT", Value: "x"}, {Name: "PATH"}}, 80, []string{"PORT=x", "PATH="}},
	} {
		if got := environment(c.vars, c.port); !slices.Equal(got, c.want) {
			t.Errorf("%v, port %d: %q", c.vars, c.port, got)
		}
	}
}

// The endpoint refuses until the command listens, and carries what is big and many.
func TestEndpoint(t *testing.T) {
	r := newRig(t, Config{})
	s := r.create(r.newSpec(command("-never-listen"))).Sandbox
	await(t, "the command's first line", func() bool {
		return strings.Contains(r.logTail(r.dir.box(s.Name), 3), "never listening")
	})
	for range 100 { // also when a shim has had all the time that it needs
		conn, err := net.Dial("tcp", "127.0.0.1:"+itoa(s.Endpoint.Port))
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, unix.ECONNREFUSED) {
			t.Fatalf("a command that does not listen: %v, want connection refused", err)
		}
		_ = pause(t.Context(), time.Millisecond)
	}
	s = r.create(r.newSpec()).Sandbox
	r.get(s, "/")
	big := strings.Repeat("x", 3<<20)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			answer, err := r.http.Post("http://127.0.0.1:"+itoa(s.Endpoint.Port)+"/echo", "text/plain", strings.NewReader(big))
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			n, err := discard(answer.Body)
			if err != nil || n != len(big) {
				t.Errorf("%d bytes came back of %d: %v", n, len(big), err)
			}
		})
	}
	all.Wait()
	if spec := r.newSpec(func(s *provider.Spec) { s.Port = 0 }); r.create(spec).Sandbox.Endpoint != nil {
		t.Error("a sandbox without a port has an endpoint")
	}
}

// Sixteen creates of one Spec at once, by two plugins, are one sandbox.
func TestCreateOnce(t *testing.T) {
	config := Config{StateDir: stateDirFor(t)}
	a, b := newRig(t, config), newRig(t, config)
	spec := a.newSpec()
	var mu sync.Mutex
	ids, outcomes := map[string]int{}, map[provider.Outcome]int{}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			created, err := []*rig{a, b}[i%2].Create(t.Context(), spec)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[created.Sandbox.ID]++
			outcomes[created.Outcome]++
		})
	}
	all.Wait()
	if len(ids) != 1 || outcomes[provider.OutcomeCreated] != 1 || outcomes[provider.OutcomeAdopted] != 15 {
		t.Errorf("ids = %v, outcomes = %v", ids, outcomes)
	}
	if n := len(a.list()); n != 1 {
		t.Errorf("%d sandboxes are listed", n)
	}
}

// A sandbox that does not run any more is made anew under its name, with another id.
func TestCreateAnew(t *testing.T) {
	r := newRig(t, Config{})
	spec := r.newSpec()
	first := r.create(spec).Sandbox
	if _, err := r.Stop(t.Context(), provider.StopRequest{ID: first.ID, Fence: fenceOf(first)}); err != nil {
		t.Fatal(err)
	}
	second := r.create(spec)
	if second.Outcome != provider.OutcomeCreated || second.Sandbox.ID == first.ID {
		t.Errorf("second = %+v, first %s", second, first.ID)
	}
	if d := r.delete(first); d.Outcome != provider.OutcomeNotFound {
		t.Errorf("Delete of the first incarnation = %+v", d)
	}
	if n := len(r.list()); n != 1 {
		t.Errorf("%d sandboxes are listed", n)
	}
}

func TestCreateConflicts(t *testing.T) {
	r := newRig(t, Config{})
	spec := r.newSpec()
	s := r.create(spec).Sandbox
	for name, change := range map[string]func(*provider.Spec){
		"owner":   func(s *provider.Spec) { s.Owner = "other" },
		"session": func(s *provider.Spec) { s.SessionID = "00000000-0000-4000-8000-000000000000" },
		"request": func(s *provider.Spec) { s.RequestHash = "other" },
	} {
		other := spec
		change(&other)
		_, err := r.Create(t.Context(), other)
		if provider.ClassOf(err) != provider.Conflict || !strings.Contains(err.Error(), "of another "+name) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if status, _ := r.get(s, "/"); status != 200 {
		t.Errorf("the sandbox was touched: %d", status)
	}
}

func TestFence(t *testing.T) {
	r := newRig(t, Config{})
	s := r.create(r.newSpec()).Sandbox
	for name, fence := range map[string]provider.Fence{
		"owner":   {Owner: "other", SessionID: s.SessionID},
		"session": {Owner: s.Owner, SessionID: "other"},
		"adopted": {Owner: "other", SessionID: s.SessionID, Adopted: true},
	} {
		if _, err := r.Stop(t.Context(), provider.StopRequest{ID: s.ID, Fence: fence}); provider.ClassOf(err) != provider.Conflict {
			t.Errorf("Stop with another %s: %v", name, err)
		}
		if _, err := r.Delete(t.Context(), provider.DeleteRequest{ID: s.ID, Fence: fence}); provider.ClassOf(err) != provider.Conflict {
			t.Errorf("Delete with another %s: %v", name, err)
		}
	}
	if status, _ := r.get(s, "/"); status != 200 {
		t.Errorf("the sandbox was touched: %d", status)
	}
}

// What can't work is refused with its reason and remedy, or fails with the last output;
// nothing is left of it.
func TestCreateFails(t *testing.T) {
	r := newRig(t, Config{})
	for name, c := range map[string]struct {
		change func(*provider.Spec)
		class  provider.Class
		text   string
	}{
		"no command":        {func(s *provider.Spec) { s.Command = nil }, provider.InvalidArgument, "command is empty"},
		"missing command":   {func(s *provider.Spec) { s.Command = []string{"/agent/missing"} }, provider.Internal, "no such file"},
		"command not found": {func(s *provider.Spec) { s.Command = []string{"berth-missing"} }, provider.Internal, "not found in the sandbox's PATH"},
		"network":           {func(s *provider.Spec) { s.Network = "bridge" }, provider.InvalidArgument, "leave network out"},
		"image":             {func(s *provider.Spec) { s.Image = "sandbox:latest" }, provider.InvalidArgument, "an image is a directory"},
		"digest":            {func(s *provider.Spec) { s.Digest = "sha256:00" }, provider.NotFound, "no longer what it was"},
		"name":              {func(s *provider.Spec) { s.Name = "../x" }, provider.InvalidArgument, "name is"},
		"docker socket":     {mounting("/var/run", "/run"), provider.InvalidArgument, "allow = "},
		"containerd socket": {mounting("/run/containerd", "/x"), provider.InvalidArgument, "containerd.sock"},
		"rootless socket":   {mounting("/run/user/1000", "/x"), provider.InvalidArgument, "/run/user/1000/docker.sock"},
		"image of sockets":  {func(s *provider.Spec) { s.Image = "/var/run" }, provider.InvalidArgument, "allow = "},
		"whole machine":     {mounting("/", "/host"), provider.InvalidArgument, "whole machine"},
		"own directory":     {mounting(r.dir.path, "/state"), provider.InvalidArgument, "overlap"},
		"mount over /proc":  {mounting(t.TempDir(), "/proc/x"), provider.InvalidArgument, "its own /proc"},
		"mount in /usr":     {mounting(t.TempDir(), "/usr/berth-test"), provider.Internal, "make it in the image"},
		"missing source":    {mounting("/srv/berth-missing", "/x"), provider.Internal, "no such file"},
		"memory":            {func(s *provider.Spec) { s.Resources.MemoryBytes = 1 }, provider.InvalidArgument, "memory is 1"},
		"pids":              {func(s *provider.Spec) { s.Resources.Pids = 0 }, provider.InvalidArgument, "pids is 0"},
		"root user":         {sandboxConfig(`{"user": "0:0"}`), provider.InvalidArgument, "never has uid or gid 0"},
		"unknown setting":   {sandboxConfig(`{"usr": "1:1"}`), provider.InvalidArgument, "usr"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			spec := r.newSpec()
			c.change(&spec)
			_, err := r.Create(t.Context(), spec)
			if provider.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v (%s), want %s with %q", err, provider.ClassOf(err), c.class, c.text)
			}
		})
	}
	r.nothingLeft(t)
	if _, err := New(Config{StateDir: r.dir.path, Root: []string{"/usr", "/run"}}, Options{}); provider.ClassOf(err) != provider.InvalidArgument {
		t.Errorf("a root with sockets: %v", err)
	}
}

// A mount's source that was resolved and judged, and of which a part is a symlink by now, is
// not followed: a sandbox may have put it there.
func TestCreateMountExchanged(t *testing.T) {
	r := newRig(t, Config{})
	dir, err := filepath.EvalSymlinks(stateDirFor(t))
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "real", "below"), 0o755)
	}
	if err == nil {
		err = os.Symlink("real", filepath.Join(dir, "link"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "file"), []byte("hello"), 0o644)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"link", "link/below"} {
		_, err := r.Create(t.Context(), r.newSpec(mounting(filepath.Join(dir, source), "/x")))
		if provider.ClassOf(err) != provider.Internal || !strings.Contains(err.Error(), "has become a symlink") || !strings.Contains(err.Error(), filepath.Join(dir, source)) {
			t.Errorf("%s: %v", source, err)
		}
	}
	r.nothingLeft(t)
	for _, source := range []string{"real/below", "file"} {
		r.delete(r.create(r.newSpec(mounting(filepath.Join(dir, source), "/x"))).Sandbox)
	}
}

// The provider's own directory is known by where it leads, also before it is made: a mount's
// source comes resolved.
func TestCreateMountOfItsOwnDirectoryBehindALink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(stateDirFor(t))
	if err == nil {
		err = errors.Join(os.Mkdir(filepath.Join(dir, "data"), 0o700), os.Symlink("data", filepath.Join(dir, "link")))
	}
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Config{StateDir: filepath.Join(dir, "link", "state")})
	_, err = r.Create(t.Context(), r.newSpec(mounting(filepath.Join(dir, "data"), "/x")))
	if provider.ClassOf(err) != provider.InvalidArgument || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("%v", err)
	}
}

// A command that exits at once fails a create that is to look for it, with its output. How
// long the look is depends on nothing but time: on a busy machine it may miss the exit.
func TestConfirmStart(t *testing.T) {
	r := newRig(t, Config{})
	await(t, "a create that sees the exit", func() bool {
		spec := r.newSpec(command("-print", "3", "-exit", "3"), func(s *provider.Spec) { s.ConfirmStart = true })
		created, err := r.Create(t.Context(), spec)
		if err == nil {
			r.delete(created.Sandbox)
			return false
		}
		if provider.ClassOf(err) != provider.Internal || !strings.Contains(err.Error(), "exited at once with code 3") {
			t.Fatal(err)
		}
		for _, line := range []string{"line 0", "line 1", "line 2"} {
			if !strings.Contains(provider.LogTailOf(err), line) {
				t.Errorf("log tail = %q", provider.LogTailOf(err))
			}
		}
		return true
	})
	r.nothingLeft(t)
}

// A create whose caller leaves removes what it has made.
func TestCreateCanceled(t *testing.T) {
	r := newRig(t, Config{})
	for i := range 40 { // from the middle on a shim is ready
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%20)*3*time.Millisecond/time.Duration(1+i/20))
		spec := r.newSpec()
		created, err := r.Create(ctx, spec)
		cancel()
		if err == nil {
			r.delete(created.Sandbox)
		} else if c := provider.ClassOf(err); c != provider.Canceled {
			t.Errorf("after %d ms: %v (%s)", i*3, err, c)
		}
	}
	r.nothingLeft(t)
}

func mounting(source, target string) func(*provider.Spec) {
	return func(s *provider.Spec) {
		s.Mounts = append(s.Mounts, provider.Mount{Name: "extra", Source: source, Target: target})
	}
}

// waiting tells when somebody begins to wait for its end.
type waiting struct {
	context.Context
	begun func()
}

func (w waiting) Done() <-chan struct{} {
	w.begun()
	return w.Context.Done()
}

// A create that meets another directory in the place of the one that it has begun with makes
// nothing: its answer would name a backend where the sandbox is not.
func TestCreateMeetsAnotherDirectory(t *testing.T) {
	r := newRig(t, Config{})
	spec := r.newSpec()
	unlock, err := r.names.Lock(t.Context(), spec.Name)
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	ctx := waiting{t.Context(), sync.OnceFunc(func() { close(begun) })}
	failed := make(chan error)
	go func() {
		_, err := r.Create(ctx, spec)
		failed <- err
	}()
	<-begun // it knows its backend, and waits for its turn
	away := r.dir.path + ".away"
	if err := os.Rename(r.dir.path, away); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(away)
	if _, err := r.Identity(t.Context()); err != nil { // it makes another one
		t.Fatal(err)
	}
	unlock()
	if err := <-failed; provider.ClassOf(err) != provider.Unavailable || !strings.Contains(err.Error(), "another state directory") {
		t.Errorf("Create: %v", err)
	}
	for _, dir := range []string{r.dir.sandboxes, filepath.Join(away, dirSandboxes)} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v, %v", dir, left, err)
		}
	}
}

// An image is a directory that holds a root; what it lacks is not there.
func TestImage(t *testing.T) {
	r := newRig(t, Config{})
	dir := imageDir(t)
	s := r.create(r.newSpec(func(s *provider.Spec) {
		s.Image, s.Mounts, s.Command = dir, nil, []string{"agent"}
		s.Env = append(s.Env, provider.EnvVar{Name: "PATH", Value: "/opt/bin"})
		s.Config = []byte(`{"workdir": "/work"}`)
	})).Sandbox
	if status, _ := r.get(s, "/"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if text, ok := r.probe(s, "read", "/usr/bin/env"); ok {
		t.Errorf("the host's /usr is there: %.20q", text)
	}
	if _, ok := r.probe(s, "write", "/opt/file", "x"); ok {
		t.Error("the image can be written to")
	}
	if err := os.RemoveAll(filepath.Join(dir, "opt")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: dir + "/missing"}); provider.ClassOf(err) != provider.NotFound {
		t.Errorf("a missing image: %v", err)
	}
}

// imageDir is a root with the agent in it.
func imageDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := os.ReadFile(world.agent)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "opt", "bin"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "opt", "bin", "agent"), b, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
