package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// The whole life of a session, through host, plugin and backend: it is there until its
// deadline, as it was extended, and then it is gone.
func TestPromise1_CreateExtendExpire(t *testing.T) { onEach(t, createExtendExpire) }

func createExtendExpire(t *testing.T, on kind) {
	s := on.site(t).configure(settings{template: map[string]string{"env": `{ LOG_LEVEL = "info", WHO = "${session.agent_id} in ${session.chat_id}" }`}})
	h := s.start().ready()
	if err := os.Symlink(s.volume(), s.path("volumes/link")); err != nil {
		t.Fatal(err)
	}
	s.link("dependencies")
	events, err := h.send(order{Verb: "watch"})
	if err != nil {
		t.Fatal(err)
	}

	chatID := uuid.NewString()
	spelled := "urn:uuid:" + strings.ToUpper(chatID)
	v := h.create(host.CreateRequest{Template: "default", ChatID: spelled, AgentID: "writer 7", TTL: 12 * time.Second,
		Volume: s.path("volumes/link"), Metadata: map[string]string{"team": "blue"}})
	if v.Status != host.StatusRunning || v.ChatID != chatID || v.AgentID != "writer 7" || v.Template != "default" || v.Provider != on.name ||
		v.VolumeHostPath != s.path("volumes/mine") || v.Metadata["team"] != "blue" || v.ExpiresAt.Sub(v.CreatedAt) != 12*time.Second {
		t.Errorf("the session: %+v", v)
	}
	if got := ask(t, v, "/"); got != "hello from agent writer 7\n" {
		t.Errorf("the agent answers %q", got)
	}
	s.on.wantAsAsked(v, "AGENT_ID=writer 7", "LOG_LEVEL=info", "WHO=writer 7 in "+chatID)
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
	if !s.gone(v.SandboxID) {
		t.Error("the session has ended and its sandbox is there")
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

// Whatever the spelling of a chat's id, all that is made for it bears the canonical one.
func TestChatIdIsCanonical(t *testing.T) { onEach(t, chatIdIsCanonical) }

func chatIdIsCanonical(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	volume, chatID := s.volume(), uuid.NewString()
	for _, spelled := range []string{strings.ToUpper(chatID), strings.ReplaceAll(chatID, "-", ""), "{" + chatID + "}", "urn:uuid:" + chatID} {
		v := h.create(host.CreateRequest{Template: "default", ChatID: spelled, AgentID: "writer", Volume: volume})
		if v.ChatID != chatID {
			t.Errorf("%s is the chat %s, want %s", spelled, v.ChatID, chatID)
		}
		s.on.wantAsAsked(v, "AGENT_ID=writer")
	}
	if names := s.entries("chats"); !slices.Equal(names, []string{chatID}) {
		t.Errorf("the chats' directories are %q, want %s alone", names, chatID)
	}
}

// AGENT_ID is set also where there is no agent: to nothing.
func TestSessionWithoutAnAgent(t *testing.T) { onEach(t, sessionWithoutAnAgent) }

func sessionWithoutAnAgent(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	v := h.create(host.CreateRequest{Template: "default", ChatID: uuid.NewString(), Volume: s.volume()})
	if got := ask(t, v, "/"); v.AgentID != "" || got != "hello from agent \n" {
		t.Errorf("agent %q: it answers %q", v.AgentID, got)
	}
	s.on.wantAsAsked(v, "AGENT_ID=")
}

// What a deployment has of its own is the configuration's: the four targets, the port, the
// TTL, the environment and the directories. (Image and network have another name in each run.)
func TestSettingsOfADeployment(t *testing.T) { onEach(t, settingsOfADeployment) }

func settingsOfADeployment(t *testing.T, on kind) {
	s := on.site(t)
	s.port = "9876"
	s.targets = map[string]string{"chat": "/srv/talk", "dependencies": "/opt/deps", "lambda-tools": "/opt/bin/tools", "volume": "/data"}
	s.link("chats")
	s.configure(settings{template: map[string]string{
		"command": `["/agent", "-listen", ":9876"]`, "ttl": `"7m30s"`, "env": `{ REGION = "north" }`}})
	h := s.start().ready()
	v := h.create(host.CreateRequest{Template: "default", ChatID: uuid.NewString(), AgentID: "writer", Volume: s.volume()})
	if ttl := v.ExpiresAt.Sub(v.CreatedAt); ttl != 7*time.Minute+30*time.Second {
		t.Errorf("it lives for %v", ttl)
	}
	s.on.wantAsAsked(v, "AGENT_ID=writer", "REGION=north")
	if got := ask(t, v, "/read/proc/self/mounts"); strings.Contains(got, "/workspace") {
		t.Errorf("there is a mount on a target of no setting:\n%s", got)
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
func TestPromise5_OneIdOneSandbox(t *testing.T) { onEach(t, oneIdOneSandbox) }

func oneIdOneSandbox(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
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
		t.Errorf("%d sandboxes, want 1", n)
	}

	other := req
	other.AgentID = "another"
	if f := h.refused(other); f.Code != host.CodeConflict || f.SessionID != v.ID {
		t.Errorf("another request of the same id: %+v", f)
	}

	v = h.stop(v.ID)
	if v.Status != host.StatusStopped || v.Endpoint != nil || s.inspect(v.SandboxID).running {
		t.Errorf("stopped: %+v", v)
	}
	if again := h.stop(v.ID); again.Status != host.StatusStopped {
		t.Errorf("stopped twice: %+v", again)
	}
	h.delete(v.ID)
	h.delete(v.ID)
	if !s.gone(v.SandboxID) {
		t.Error("the deleted sandbox is there")
	}
	if e := h.get(v.ID); e.Status != host.StatusEnded || e.Ended.Reason != host.ReasonDeleted {
		t.Errorf("after the delete: %+v", e)
	}
	if f := h.refused(req); f.Code != host.CodeConflict || !strings.Contains(f.Text, "deleted") {
		t.Errorf("the id of an ended session: %+v", f)
	}
}
