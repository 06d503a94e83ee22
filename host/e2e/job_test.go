package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// The whole life of a session, through host, plugin and daemon: it is there until its
// deadline, as it was extended, and then it is gone.
func TestPromise1_CreateExtendExpire(t *testing.T) {
	t.Parallel()
	s := newSite(t).configure(settings{template: map[string]string{"env": `{ LOG_LEVEL = "info", WHO = "${session.agent_id} in ${session.chat_id}" }`}})
	h := s.start().ready()
	if err := os.Mkdir(s.path("volumes/mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.path("volumes/mine"), s.path("volumes/link")); err != nil {
		t.Fatal(err)
	}
	events, err := h.send(order{Verb: "watch"})
	if err != nil {
		t.Fatal(err)
	}

	chatID := uuid.NewString()
	spelled := "urn:uuid:" + strings.ToUpper(chatID)
	v := h.create(host.CreateRequest{Template: "default", ChatID: spelled, AgentID: "writer 7", TTL: 12 * time.Second,
		Volume: s.path("volumes/link"), Metadata: map[string]string{"team": "blue"}})
	if v.Status != host.StatusRunning || v.ChatID != chatID || v.AgentID != "writer 7" || v.Template != "default" || v.Provider != "docker" ||
		v.VolumeHostPath != s.path("volumes/mine") || v.Metadata["team"] != "blue" || v.ExpiresAt.Sub(v.CreatedAt) != 12*time.Second {
		t.Errorf("the session: %+v", v)
	}
	if got := ask(t, v, "/"); got != "hello from agent writer 7\n" {
		t.Errorf("the agent answers %q", got)
	}
	c := inspect(t, v.SandboxID)
	wantEnv(t, c, ask(t, v, "/env"), "AGENT_ID=writer 7", "LOG_LEVEL=info", "WHO=writer 7 in "+chatID)
	wantLabels(t, s, c, v)
	wantMounts(t, s, c, chatID)
	if ip := c.NetworkSettings.Networks[world.network].IPAddress; ip == "" || ip != v.Endpoint.IP || v.Endpoint.Port != 8000 {
		t.Errorf("endpoint %+v, the network's entry says %q", v.Endpoint, ip)
	}
	if c.Name != "/berth-"+s.owner[:12]+"-"+v.ID {
		t.Errorf("the container's name is %s", c.Name)
	}
	if names := s.entries("chats"); !slices.Equal(names, []string{chatID}) {
		t.Errorf("the chats' directories are %q", names)
	}

	was := v.ExpiresAt
	v = h.extend(v.ID, 3*time.Second)
	if v.ExpiresAt.Sub(was) != 3*time.Second {
		t.Errorf("extended from %v to %v", was, v.ExpiresAt)
	}
	holds(t, v.ExpiresAt, "the sandbox answers", func() bool { _, err := try(v, "/healthz"); return err == nil })
	e := h.ended(v.ID, lateness)
	if !gone(t, world.api, v.SandboxID) {
		t.Error("the session has ended and its container is there")
	}
	if e.Ended.Reason != host.ReasonExpired || e.Ended.ExitCode == nil || *e.Ended.ExitCode != 143 || e.Ended.OOMKilled || e.Ended.At.Before(v.ExpiresAt) {
		t.Errorf("the terminal record: %+v", *e.Ended)
	}
	if list := h.list(); len(list) != 0 {
		t.Errorf("listed after its end: %+v", list)
	}
	all := h.must(order{Verb: "list", Filter: host.Filter{All: true}}).Sessions
	if len(all) != 1 || all[0].ID != v.ID {
		t.Errorf("all sessions: %+v", all)
	}
	wantStory(t, events, v.ID)
}

// wantEnv compares a container's environment with the image's and the given variables: it has
// no other. What runs in it sees (as JSON) what Docker adds besides.
func wantEnv(t *testing.T, c container.InspectResponse, seen string, given ...string) {
	t.Helper()
	img, err := world.api.ImageInspect(t.Context(), c.Image)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(img.Config.Env, given)
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(c.Config.Env)); !slices.Equal(got, want) {
		t.Errorf("the container's environment is %q, want %q", got, want)
	}
	var env []string
	if err := json.Unmarshal([]byte(seen), &env); err != nil {
		t.Fatal(err)
	}
	docker := regexp.MustCompile(`^(HOME|HOSTNAME|PATH)=`)
	fromDocker := func(v string) bool { return docker.MatchString(v) && !slices.Contains(want, v) }
	if got := slices.Sorted(slices.Values(slices.DeleteFunc(env, fromDocker))); !slices.Equal(got, want) {
		t.Errorf("the agent sees %q, want %q and HOME, HOSTNAME, PATH", got, want)
	}
}

// wantLabels compares a container's labels with what other adapters read.
func wantLabels(t *testing.T, s *site, c container.InspectResponse, v host.Session) {
	t.Helper()
	first := v.CreatedAt.Add(v.ExpiresAt.Sub(v.CreatedAt))
	want := map[string]string{
		"session_id": v.ID, "chat_id": v.ChatID, "agent_id": v.AgentID, "endpoint_port": "8000",
		"volume_host_path": s.path("volumes/mine"),
		"expires_at":       first.Format("2006-01-02T15:04:05.000000") + "+00:00",
		"berth.owner":      s.owner, "berth.template": "default",
	}
	if first.Nanosecond() == 0 {
		want["expires_at"] = first.Format("2006-01-02T15:04:05") + "+00:00"
	}
	for key, value := range want {
		if got, ok := c.Config.Labels[key]; !ok || got != value {
			t.Errorf("label %s is %q, want %q", key, got, value)
		}
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(c.Config.Labels["berth.request_hash"]) {
		t.Errorf("label berth.request_hash is %q", c.Config.Labels["berth.request_hash"])
	}
}

// wantMounts compares order, kind, sources and modes of a container's mounts.
func wantMounts(t *testing.T, s *site, c container.InspectResponse, chatID string) {
	t.Helper()
	want := []struct {
		source, target string
		readOnly       bool
	}{
		{s.path("chats/" + chatID), "/workspace/chat", false},
		{s.path("dependencies"), "/workspace/dependencies", true},
		{s.path("lambda-tools"), "/workspace/lambda-tools", true},
		{s.path("volumes/mine"), "/workspace/volume", false},
	}
	got := c.HostConfig.Mounts
	if len(got) != len(want) || len(c.HostConfig.Binds) != 0 {
		t.Fatalf("mounts %+v, binds %q", got, c.HostConfig.Binds)
	}
	for i, w := range want {
		if g := got[i]; g.Type != "bind" || g.Source != w.source || g.Target != w.target || g.ReadOnly != w.readOnly {
			t.Errorf("mount %d is %+v, want %+v", i, g, w)
		}
		for _, m := range c.Mounts {
			if m.Destination == w.target && m.RW == w.readOnly {
				t.Errorf("the daemon mounts %s with rw %v", m.Destination, m.RW)
			}
		}
	}
	if info, err := os.Stat(filepath.Join(s.path("chats"), chatID)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the chat's directory: %v, %v", info, err)
	}
}

// wantStory reads what a watcher was told of a session, in order and without a gap.
func wantStory(t *testing.T, events <-chan reply, id string) {
	t.Helper()
	var story []host.Status
	var last uint64
	for r := range events {
		ev := r.Event
		if ev.Type == host.EventSynced || ev.Session.ID != id {
			continue
		}
		if last != 0 && ev.Seq != last+1 {
			t.Errorf("event %d comes after %d", ev.Seq, last)
		}
		last = ev.Seq
		if n := len(story); n == 0 || story[n-1] != ev.Session.Status {
			story = append(story, ev.Session.Status)
		}
		if ev.Session.Status == host.StatusEnded {
			if ev.Session.Ended == nil || ev.Session.Ended.Reason != host.ReasonExpired {
				t.Errorf("the watcher heard of the end: %+v", ev.Session.Ended)
			}
			break
		}
	}
	want := []host.Status{host.StatusCreating, host.StatusRunning, host.StatusStopping, host.StatusDeleting, host.StatusEnded}
	if !slices.Equal(story, want) {
		t.Errorf("the watcher heard %q, want %q", story, want)
	}
}

// One session id, one sandbox: the same request again is the same session, another one is
// refused, and a stopped sandbox stays until its delete.
func TestPromise5_OneIdOneSandbox(t *testing.T) {
	t.Parallel()
	s := newSite(t).configure(settings{})
	h := s.start().ready()
	req := chat()
	req.SessionID = uuid.NewString()
	type result struct {
		v   host.Session
		err error
	}
	results := make(chan result, 4)
	for range cap(results) {
		go func() {
			r, err := h.do(order{Verb: "create", Create: req})
			if err != nil {
				results <- result{err: err}
				return
			}
			results <- result{v: *r.Session}
		}()
	}
	var v host.Session
	for range cap(results) {
		r := <-results
		if r.err != nil {
			t.Fatal(r.err)
		}
		if v.ID != "" && r.v.SandboxID != v.SandboxID {
			t.Errorf("two sandboxes of one id: %s, %s", v.SandboxID, r.v.SandboxID)
		}
		v = r.v
	}
	if n := len(s.sandboxes()); n != 1 {
		t.Errorf("%d containers, want 1", n)
	}

	other := req
	other.AgentID = "another"
	if f := h.refused(other); f.Code != host.CodeConflict || f.SessionID != v.ID {
		t.Errorf("another request of the same id: %+v", f)
	}

	v = h.stop(v.ID)
	if v.Status != host.StatusStopped || v.Endpoint != nil || inspect(t, v.SandboxID).State.Running {
		t.Errorf("stopped: %+v", v)
	}
	if again := h.stop(v.ID); again.Status != host.StatusStopped {
		t.Errorf("stopped twice: %+v", again)
	}
	h.delete(v.ID)
	h.delete(v.ID)
	if !gone(t, world.api, v.SandboxID) {
		t.Error("the deleted container is there")
	}
	if e := h.get(v.ID); e.Status != host.StatusEnded || e.Ended.Reason != host.ReasonDeleted {
		t.Errorf("after the delete: %+v", e)
	}
	if f := h.refused(req); f.Code != host.CodeConflict || !strings.Contains(f.Text, "deleted") {
		t.Errorf("the id of an ended session: %+v", f)
	}
}
