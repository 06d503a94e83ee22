package e2e

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// brisk are settings under which an orphan would soon go. They leave too little time for a
// create on a busy machine: sandboxes are made under the usual ones.
func brisk() settings {
	return settings{lifecycle: map[string]string{"sweep_interval": `"1s"`, "create_timeout": `"3s"`}}
}

// foreignLabels are the six of a sandbox that another adapter has made.
func foreignLabels() map[string]string {
	return map[string]string{
		"session_id": uuid.NewString(), "chat_id": uuid.NewString(), "agent_id": "writer", "volume_host_path": "",
		"expires_at": "2026-04-02T12:05:00+00:00", "endpoint_port": "8000",
	}
}

func with(labels map[string]string, changed ...string) map[string]string {
	labels = maps.Clone(labels)
	for i := 0; i < len(changed); i += 2 {
		labels[changed[i]] = changed[i+1]
	}
	return labels
}

// What bears no owner, another one, or broken values is left alone, counted once, logged
// once and listed nowhere, even long after the deadline that is written on it. Other tests
// have sandboxes on the same daemon, which are foreign too.
func TestPromise6_ForeignSandboxesAreLeftAlone(t *testing.T) { onEach(t, foreignSandboxesAreLeftAlone) }

func foreignSandboxesAreLeftAlone(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	mine := h.create(chat())
	h.terminate()
	name := func(n string) string { return "berth-e2e-" + world.run + "-" + n }
	foreign := []string{
		s.on.stranger(name("no-owner"), foreignLabels()),
		s.on.stranger(name("other-owner"), with(foreignLabels(), "berth.owner", "somebody-else-"+world.run)),
	}
	broken := []string{
		s.on.stranger(name("bad-time"), with(foreignLabels(), "expires_at", "tomorrow", "berth.owner", s.owner)),
		s.on.stranger(name("bad-port"), with(foreignLabels(), "endpoint_port", "-1", "chat_id", "{"+uuid.NewString())),
	}
	untouched := slices.Concat(foreign, broken)
	if on.name == "docker" { // anybody can label a container; a record has what Berth asked for
		broken = append(broken, s.on.stranger(name("bad-id"), with(foreignLabels(), "session_id", "no-uuid")))
		unlabelled := s.on.stranger(name("unlabelled"), map[string]string{"berth.owner": s.owner})
		untouched = slices.Concat(foreign, broken, []string{unlabelled})
	}

	h = s.configure(brisk()).start().ready()
	h.awaitLists(5) // which takes longer than create_timeout
	for _, id := range untouched {
		if !s.inspect(id).running {
			t.Errorf("sandbox %s was touched", id)
		}
	}
	list := h.must(order{Verb: "list", Filter: host.Filter{All: true}}).Sessions
	if len(list) != 1 || list[0].ID != mine.ID {
		t.Errorf("listed: %+v", list)
	}
	log := h.logs.String()
	for _, id := range foreign {
		if n := strings.Count(log, `msg="a sandbox of another owner is left alone" provider=`+on.name+` sandbox_id=`+id); n != 1 {
			t.Errorf("%s was logged %d times as another owner's", id, n)
		}
	}
	for _, id := range broken {
		if n := strings.Count(log, `msg="a sandbox's labels can't be read; it is left alone" provider=`+on.name+` sandbox_id=`+id); n != 1 {
			t.Errorf("%s was logged %d times as unreadable", id, n)
		}
	}
	// Counted once each: as often as logged, and no more with more lists.
	m := h.scrape()
	for action, words := range map[string]string{"foreign": "a sandbox of another owner is left alone", "unreadable": "a sandbox's labels can't be read"} {
		counted, logged := m[`berth_orphans_total{action="`+action+`",provider="`+on.name+`"}`], strings.Count(h.logs.String(), words)
		if counted < float64(strings.Count(log, words)) || counted > float64(logged) {
			t.Errorf("%s: counted %v times, logged %d times", action, counted, logged)
		}
	}
	if n := m[`berth_orphans_total{action="deleted",provider="`+on.name+`"}`]; n != 0 {
		t.Errorf("%v orphans were deleted", n)
	}
}

// A sandbox of our owner without a session goes, after two complete lists, when it is older
// than create_timeout; not before.
func TestPromise6_OrphanGoesAfterTwoLists(t *testing.T) { onEach(t, orphanGoesAfterTwoLists) }

func orphanGoesAfterTwoLists(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	h.create(chat()) // the store is older than the orphan
	h.terminate()
	h = s.configure(brisk()).start().ready()
	id := s.on.stranger("berth-e2e-"+world.run+"-orphan", with(foreignLabels(), "berth.owner", s.owner))
	made := s.inspect(id).made
	await(t, patience, "the orphan is gone", func() bool { return s.gone(id) })
	// A list tells it in whole seconds.
	if age := time.Since(made.Truncate(time.Second)); age < 3*time.Second {
		t.Errorf("it was deleted after %v, create_timeout is 3s", age)
	}
	await(t, patience, "the orphan is counted", func() bool {
		return h.scrape()[`berth_orphans_total{action="deleted",provider="`+on.name+`"}`] == 1
	})
	if n := len(h.list()); n != 1 {
		t.Errorf("%d sessions, want the one that was made", n)
	}
}

// After a lost or damaged lease store nothing is deleted: the sandboxes of before are
// adopted with the deadline that they bear, or recovery_grace if that is later, and go then.
func TestPromise2_LostStoreIsAdopted(t *testing.T) { onEach(t, lostStoreIsAdopted) }

func lostStoreIsAdopted(t *testing.T, on kind) {
	for _, c := range []struct {
		name string
		harm func(t *testing.T, path string)
	}{
		{"deleted", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
		{"damaged", func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := range text[:len(text)/2] {
				text[i] ^= 0x5a
			}
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := map[string]string{"owner": ""} // the host's own, which is no part of the store
			s := on.site(t).configure(settings{top: own})
			h := s.start().ready()
			owner := h.owner
			v, short := h.create(chat()), h.lives(3*time.Second)
			h.kill9(s)
			// A creation time is told in whole seconds: the new store is to be younger.
			await(t, patience, "a second has passed", func() bool { return time.Since(v.CreatedAt) > 2*time.Second })
			c.harm(t, s.path("state/leases.db"))
			quick := brisk()
			quick.top, quick.lifecycle["recovery_grace"] = own, `"10s"`
			h = s.configure(quick).start().ready()
			begun := time.Now()
			if h.owner != owner {
				t.Errorf("the owner was %s and is %s", owner, h.owner)
			}
			kept := h.get(short.ID) // it has its grace, and no more
			h.awaitLists(6)         // longer than create_timeout
			ask(t, v, "/")
			now := h.get(v.ID)
			if now.Status != host.StatusRunning || now.SandboxID != v.SandboxID || !now.ExpiresAt.Equal(v.ExpiresAt) ||
				now.ChatID != v.ChatID || now.Template != v.Template || *now.Endpoint != *v.Endpoint {
				t.Errorf("adopted as %+v, it was %+v", now, v)
			}
			if kept.Status != host.StatusRunning || kept.ExpiresAt.Before(begun) {
				t.Errorf("the one that had little left: %+v", kept)
			}
			words := []string{"a sandbox was adopted"}
			moved := ""
			for _, name := range s.entries("state") {
				if strings.HasPrefix(name, "leases.damaged-") {
					moved = name
				}
			}
			if c.name == "damaged" {
				words = append(words, "the lease store was damaged and was moved aside")
			}
			if (moved != "") != (c.name == "damaged") {
				t.Errorf("the damaged store: %q among %q", moved, s.entries("state"))
			}
			wantWords(t, "the log", h.logs.String(), words...)
			if n := h.scrape()[`berth_orphans_total{action="adopted",provider="`+on.name+`"}`]; n != 2 {
				t.Errorf("%v were counted as adopted, want 2", n)
			}
			h.overdue(kept)
			h.delete(v.ID)
			h.delete(h.createSoon().ID)
			if n := len(s.on.sandboxes(owner)); n != 0 {
				t.Errorf("%d sandboxes of the owner", n)
			}
		})
	}
}
