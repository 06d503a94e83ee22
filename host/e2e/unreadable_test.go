package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// A sandbox whose labels can't be read any more is still its session's: it is there until the
// deadline of the lease, and then it goes. The daemon's own file is what changes a label.
func TestPromise2_UnreadableGoesAtItsLeasesDeadline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerd(s, "--live-restore")
	d.load()
	c := isolated(s, d.socket())
	c.lifecycle = map[string]string{"sweep_interval": `"500ms"`}
	h := s.configure(c).start().ready()
	v := h.lives(10 * time.Second)
	h.kill9(s)
	d.kill9()
	path := filepath.Join(d.dir, "data", "containers", v.SandboxID, "config.v2.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"expires_at":"`)
	deadline, _, _ := strings.Cut(rest, `"`)
	if deadline == "" {
		t.Fatalf("no label in %s", text)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), deadline, "tomorrow")), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	now, err := d.api.ContainerInspect(t.Context(), v.SandboxID)
	if err != nil || now.Config.Labels["expires_at"] != "tomorrow" || !now.State.Running {
		t.Fatalf("the daemon is back with %+v, %v", now, err)
	}

	h = s.start().ready()
	await(t, patience, "the plugin says which container it leaves out", func() bool {
		_, said, _ := strings.Cut(h.logs.String(), `msg="a container's labels can't be read; it is left out"`)
		return strings.Contains(said, v.SandboxID)
	})
	holds(t, v.ExpiresAt, "the session and its sandbox are there", func() bool {
		c, err := d.api.ContainerInspect(t.Context(), v.SandboxID)
		return err == nil && c.State.Running && len(h.list()) == 1
	})
	e := h.ended(v.ID, lateness)
	if e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(v.ExpiresAt) || !gone(t, d.api, v.SandboxID) {
		t.Errorf("it ended: %+v", *e.Ended)
	}
}

// The same of a sandbox of processes, whose record is what can't be read.
func TestPromise2_UnreadableRecordGoesAtItsLeasesDeadline(t *testing.T) {
	t.Parallel()
	s := processKind.site(t)
	h := s.configure(settings{lifecycle: map[string]string{"sweep_interval": `"500ms"`}}).start().ready()
	v := h.lives(10 * time.Second)
	h.kill9(s)
	path := filepath.Join(s.path("disk/process/sandboxes"), v.SandboxID[:strings.LastIndexByte(v.SandboxID, '.')], "record.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"expires_at":"`)
	deadline, _, _ := strings.Cut(rest, `"`)
	if deadline == "" {
		t.Fatalf("no deadline in %s", text)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), deadline, "tomorrow")), 0o600); err != nil {
		t.Fatal(err)
	}

	h = s.start().ready()
	await(t, patience, "the plugin says which sandbox it leaves out", func() bool {
		_, said, _ := strings.Cut(h.logs.String(), `msg="a sandbox's record can't be read; it is left out"`)
		return strings.Contains(said, v.SandboxID)
	})
	holds(t, v.ExpiresAt, "the session and its sandbox are there", func() bool { return s.inspect(v.SandboxID).running && len(h.list()) == 1 })
	e := h.ended(v.ID, lateness)
	if e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(v.ExpiresAt) || !s.gone(v.SandboxID) {
		t.Errorf("it ended: %+v", *e.Ended)
	}
}
