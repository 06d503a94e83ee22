package records_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/records"
)

func wantClass(t *testing.T, what string, err error, class provider.Class, words string) {
	t.Helper()
	if provider.ClassOf(err) != class || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v; want %s with %q", what, err, class, words)
	}
}

func TestOneNameIsOneSandbox(t *testing.T) {
	w := newWorld(t)
	var work sync.WaitGroup
	var mu sync.Mutex
	outcomes, ids := map[provider.Outcome]int{}, map[string]bool{}
	for range 16 {
		work.Go(func() {
			made, err := w.Create(t.Context(), spec("one"))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			outcomes[made.Outcome]++
			ids[made.Sandbox.ID] = true
		})
	}
	work.Wait()
	if outcomes[provider.OutcomeCreated] != 1 || outcomes[provider.OutcomeAdopted] != 15 || len(ids) != 1 {
		t.Errorf("%v, ids %v", outcomes, ids)
	}
	w.wantEntries(1)
	for what, change := range map[string]func(*provider.Spec){
		"owner": func(s *provider.Spec) { s.Owner = "you" }, "session": func(s *provider.Spec) { s.SessionID = "two" },
		"another request": func(s *provider.Spec) { s.RequestHash = "other" },
	} {
		s := spec("one")
		change(&s)
		_, err := w.Create(t.Context(), s)
		wantClass(t, what, err, provider.Conflict, what)
	}
	if all, _ := w.list(); len(all) != 1 || all[0].State != provider.StateRunning {
		t.Errorf("%+v", all)
	}
}

func TestIdNamesOneIncarnation(t *testing.T) {
	w := newWorld(t)
	first := w.made(spec("one")).Sandbox
	w.deleted(first.ID, "one", provider.OutcomeDeleted)
	w.deleted(first.ID, "one", provider.OutcomeNotFound)
	second := w.made(spec("one")).Sandbox
	if first.ID == second.ID {
		t.Error("the id was used again")
	}
	w.deleted(first.ID, "one", provider.OutcomeNotFound)
	_, err := w.Get(t.Context(), provider.Ref{ID: first.ID})
	wantClass(t, "the first one", err, provider.NotFound, "no such sandbox")
	if got, err := w.Get(t.Context(), provider.Ref{Name: "berth-me-one"}); err != nil || got.ID != second.ID {
		t.Errorf("%+v, %v", got, err)
	}
	for _, id := range []string{"none", "../sandboxes/berth-me-one", "berth-me-one", "/", ".", "..", "identity", "a\x00b"} {
		w.deleted(id, "one", provider.OutcomeNotFound)
	}
	w.deleted(second.ID, "one", provider.OutcomeDeleted)
	w.wantEntries(0)
}

func TestFence(t *testing.T) {
	w := newWorld(t)
	s := w.made(spec("one")).Sandbox
	for words, fence := range map[string]provider.Fence{
		"it belongs to owner me, not to you": {Owner: "you", SessionID: "one", Adopted: true},
		"it is of session one, not of two":   {Owner: "me", SessionID: "two", Adopted: true},
	} {
		_, err := w.Stop(t.Context(), provider.StopRequest{ID: s.ID, Fence: fence})
		wantClass(t, "stop", err, provider.Conflict, words)
		_, err = w.Delete(t.Context(), provider.DeleteRequest{ID: s.ID, Fence: fence})
		wantClass(t, "delete", err, provider.Conflict, words)
	}
	if got, err := w.Get(t.Context(), provider.Ref{ID: s.ID}); err != nil || got.State != provider.StateRunning {
		t.Errorf("%+v, %v", got, err)
	}
	got, err := w.Stop(t.Context(), provider.StopRequest{ID: s.ID, Fence: provider.Fence{Owner: "me", SessionID: "one"}, Grace: 5 * time.Second})
	if err != nil || got.Outcome != provider.OutcomeStopped || got.Exit == nil || got.Exit.Code != 143 {
		t.Errorf("stop: %+v, %v", got, err)
	}
	if got, err := w.Get(t.Context(), provider.Ref{ID: s.ID}); err != nil || got.State != provider.StateExited || got.Exit.Code != 143 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	w := newWorld(t)
	ends := spec("ends")
	ends.ConfirmStart, ends.Command = true, []string{"-c", "echo last words; exit 4"}
	_, err := w.Create(t.Context(), ends)
	wantClass(t, "it ends at once", err, provider.Internal, "it ended at once with code 4")
	if provider.LogTailOf(err) != "last words" {
		t.Errorf("log tail %q", provider.LogTailOf(err))
	}
	missing := spec("missing")
	missing.ConfirmStart, missing.Image = true, "/no/such/program"
	_, err = w.Create(t.Context(), missing)
	wantClass(t, "no program", err, provider.Internal, "code 127")

	w.runtime.before = func() error { return &provider.Error{Class: provider.Exhausted, Message: "no room"} }
	_, err = w.Create(t.Context(), spec("refused"))
	wantClass(t, "refused", err, provider.Exhausted, "no room")

	ctx, cancel := context.WithCancel(t.Context())
	w.runtime.before = func() error { cancel(); return nil }
	_, err = w.Create(ctx, spec("cancelled"))
	wantClass(t, "cancelled", err, provider.Canceled, "")

	w.runtime.before = func() error { panic("boom") }
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("no panic")
			}
		}()
		_, _ = w.Create(t.Context(), spec("panics"))
	}()
	w.wantEntries(0)
	w.runtime.before = nil
	w.made(spec("panics")) // its name is not locked

	bad := spec("bad")
	for _, name := range []string{"", ".hidden", "a/b", "identity", strings.Repeat("x", 300)} {
		bad.Name = name
		_, err := w.Create(t.Context(), bad)
		wantClass(t, name, err, provider.InvalidArgument, "can't be that of a directory entry")
	}
	w.wantEntries(1)
}

// One that does not run, also one that was never started because the plugin was killed, is
// made anew.
func TestCreateAgain(t *testing.T) {
	w := newWorld(t)
	first := w.made(spec("one")).Sandbox
	if err := w.runtime.End(t.Context(), filepath.Join(w.dir, first.Name), 0); err != nil {
		t.Fatal(err)
	}
	again := w.made(spec("one"))
	if again.Outcome != provider.OutcomeCreated || again.Sandbox.ID == first.ID {
		t.Errorf("%+v", again)
	}
	for _, f := range []string{"lock", "group", "log"} {
		if err := w.runtime.End(t.Context(), filepath.Join(w.dir, first.Name), 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(w.dir, first.Name, f)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.Get(t.Context(), provider.Ref{Name: first.Name}); err != nil || got.State != provider.StateCreated {
		t.Errorf("%+v, %v", got, err)
	}
	if never := w.made(spec("one")); never.Outcome != provider.OutcomeCreated {
		t.Errorf("%+v", never)
	}
	w.wantEntries(1)
}

func TestNextPluginFindsThem(t *testing.T) {
	w := newWorld(t)
	s := spec("odd")
	s.ChatID, s.AgentID, s.Template, s.VolumeHostPath = "chat", "a \"b\"\n'c' ü\x01|", strings.Repeat("t", 4096), "/srv/v"
	made := w.made(s)
	identity, err := w.Identity(t.Context())
	if err != nil || made.Identity != identity || identity == "" {
		t.Errorf("identity %q, %v; of the create %q", identity, err, made.Identity)
	}
	w.Provider = w.open()
	if now, err := w.Identity(t.Context()); err != nil || now != identity {
		t.Errorf("the identity is %q, and was %q: %v", now, identity, err)
	}
	all, summary := w.list()
	if summary.Total != 1 || len(all) != 1 || !reflect.DeepEqual(all[0], made.Sandbox) {
		t.Errorf("%+v, %+v\nwant %+v", summary, all, made.Sandbox)
	}
	if x := all[0]; x.AgentID != s.AgentID || x.Template != s.Template || !x.ExpiresAt.Equal(s.ExpiresAt) || x.VolumeHostPath != "/srv/v" {
		t.Errorf("%+v", x)
	}
	if again, err := w.Create(t.Context(), s); err != nil || again.Outcome != provider.OutcomeAdopted || again.Sandbox.ID != made.Sandbox.ID {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	good := w.made(spec("good")).Sandbox
	bad := w.made(spec("bad")).Sandbox
	if err := os.WriteFile(filepath.Join(w.dir, bad.Name, "record"), []byte("{\"id\": \"x"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, summary := w.list()
	if len(all) != 1 || all[0].ID != good.ID || summary.Total != 2 || len(summary.Unreadable) != 1 ||
		!strings.Contains(summary.Unreadable[0].Reason, "its record can't be read") {
		t.Errorf("%+v, %+v", all, summary)
	}
	id := summary.Unreadable[0].ID
	if got, err := w.Get(t.Context(), provider.Ref{ID: id}); err != nil || got.Unreadable == "" || got.State != provider.StateRunning {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := w.Create(t.Context(), spec("bad"))
	wantClass(t, "create", err, provider.Conflict, "its record can't be read")
	_, err = w.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: provider.Fence{Owner: "me"}})
	wantClass(t, "delete", err, provider.Conflict, "bears no owner")
	if got, err := w.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: provider.Fence{Owner: "me", Adopted: true}}); err != nil || got.Outcome != provider.OutcomeDeleted {
		t.Errorf("%+v, %v", got, err)
	}
	w.wantEntries(1)
}

// A directory that is away is no directory without sandboxes.
func TestUnavailableIsNotAbsent(t *testing.T) {
	w := newWorld(t)
	s := w.made(spec("one")).Sandbox
	if err := os.Rename(w.dir, w.dir+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Get(t.Context(), provider.Ref{ID: s.ID})
	wantClass(t, "get", err, provider.Unavailable, "")
	_, err = w.List(t.Context(), func(provider.Sandbox) error { return nil })
	wantClass(t, "list", err, provider.Unavailable, "")
	_, err = w.Delete(t.Context(), provider.DeleteRequest{ID: s.ID, Fence: provider.Fence{Owner: "me", SessionID: "one"}})
	wantClass(t, "delete", err, provider.Unavailable, "")
	_, err = w.Create(t.Context(), spec("two"))
	wantClass(t, "create", err, provider.Unavailable, "")
	if h, err := w.Health(t.Context()); err != nil || h.Available || h.Message == "" {
		t.Errorf("%+v, %v", h, err)
	}
	if err := os.Rename(w.dir+".away", w.dir); err != nil {
		t.Fatal(err)
	}
	w.deleted(s.ID, "one", provider.OutcomeDeleted)

	// A plugin that is started meanwhile makes no other in its place.
	parent := filepath.Dir(w.dir)
	if err := os.Rename(parent, parent+".away"); err != nil {
		t.Fatal(err)
	}
	next := w.open()
	_, err = next.List(t.Context(), func(provider.Sandbox) error { return nil })
	wantClass(t, "list by the next", err, provider.Unavailable, "")
	_, err = next.Get(t.Context(), provider.Ref{ID: s.ID})
	wantClass(t, "get by the next", err, provider.Unavailable, "")
	if err := os.Rename(parent+".away", parent); err != nil {
		t.Fatal(err)
	}
	before, err := w.Identity(t.Context())
	if after, again := next.Identity(t.Context()); err != nil || again != nil || before != after {
		t.Errorf("the identity is %q, and was %q: %v, %v", after, before, again, err)
	}
	if h, err := w.Health(t.Context()); err != nil || !h.Available || h.Version != "test" {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestOpenRefusesAndSweeps(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{".new-x", ".old-x", ".new-claimed"} {
		if err := os.MkdirAll(filepath.Join(w.dir, name, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	claimed, err := os.Open(filepath.Join(w.dir, ".new-claimed")) // by another plugin, which makes it
	if err != nil {
		t.Fatal(err)
	}
	defer claimed.Close()
	if err := syscall.Flock(int(claimed.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	next := w.open()
	w.wantEntries(1)
	if _, summary := w.list(); summary.Total != 0 {
		t.Errorf("%+v", summary)
	}
	if _, err := next.Create(t.Context(), spec("one")); err != nil {
		t.Error(err)
	}
	w.wantEntries(2)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, words := range map[string]string{"relative": "no absolute path", t.TempDir(): "open to others", file: "no directory"} {
		if filepath.IsAbs(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		_, err := records.Open(dir, w.runtime, records.Options{})
		wantClass(t, dir, err, provider.InvalidArgument, words)
	}
}

func TestJudge(t *testing.T) {
	mount := provider.TemplateInfo{Mounts: []provider.Mount{{Name: "chat"}}}
	d := records.Options{}.Judge("t", mount)
	if len(d) != 1 || d[0].Template != "t" || d[0].Path[0] != "template.mount" || !strings.Contains(d[0].Summary, `"chat"`) {
		t.Errorf("%+v", d)
	}
	if d := (records.Options{Mounts: true, Networks: true}).Judge("t", provider.TemplateInfo{Network: "n", Mounts: mount.Mounts}); len(d) != 0 {
		t.Errorf("%+v", d)
	}
	w := newWorld(t)
	s := spec("one")
	s.Network = "lan"
	_, err := w.Create(t.Context(), s)
	wantClass(t, "network", err, provider.Unsupported, `"lan"`)
	w.wantEntries(0)
}

// A caller that waits for another's turn leaves when its context is done.
func TestWaitingEnds(t *testing.T) {
	w := newWorld(t)
	inside, release := make(chan struct{}), make(chan struct{})
	w.runtime.before = func() error { close(inside); <-release; return nil }
	first := make(chan error, 1)
	go func() { _, err := w.Create(t.Context(), spec("one")); first <- err }()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := w.Create(ctx, spec("one"))
	if !errors.Is(err, provider.Canceled) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	w.wantEntries(1)
}
