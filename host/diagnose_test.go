package host_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// finding is the first one whose message has the words.
func finding(t *testing.T, d host.Diagnosis, words string) host.Finding {
	t.Helper()
	for _, f := range d.Findings {
		if strings.Contains(f.Message, words) {
			return f
		}
	}
	t.Errorf("nothing is found about %q in %+v", words, d.Findings)
	return host.Finding{}
}

// A diagnosis compares the leases with what the backend lists, tells what is to be done, and
// changes nothing.
func TestDiagnose(t *testing.T) {
	a := abandon(t, "1h")
	a.backend.PutUnreadable(provider.Unreadable{ID: "odd", Owner: a.owner, Reason: "label session_id is nonsense"})
	all, leases := a.sandboxes(), leasesOf(t, a)
	diagnose := func() host.Diagnosis {
		t.Helper()
		d, err := host.Diagnose(within(t), a.cfg, linked(a.backend))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := diagnose()
	if d.Healthy() || d.HostRuns {
		t.Errorf("%+v", d)
	}
	for words, want := range map[string]host.Finding{
		"is whole: ": {Level: host.LevelOK, About: "leases"},
		"2 sessions are past the deadline, or asked to end, and still there: ": {Level: host.LevelProblem, About: "sessions"},
		"1 sandbox is of this host, younger than its store, without a lease":   {Level: host.LevelNote, About: "sandboxes"},
		"1 sandbox is of another owner":                                        {Level: host.LevelNote, About: "sandboxes"},
		"the labels of sandbox odd can't be read: label session_id is":         {Level: host.LevelNote, About: `provider "mem"`},
		"is launched, configured and ready; its backend is \"memory\"":         {Level: host.LevelOK, About: `provider "mem"`},
		"no host lives on it": {Level: host.LevelNote, About: "lock"},
	} {
		if f := finding(t, d, words); f.Level != want.Level || f.About != want.About || f.Level == host.LevelProblem && f.Remedy == "" {
			t.Errorf("%q: %+v", words, f)
		}
	}
	if f := finding(t, d, "2 sessions are past"); !strings.Contains(f.Message, a.expired.ID) || !strings.Contains(f.Message, a.deleted.ID) || strings.Contains(f.Message, a.living.ID) {
		t.Errorf("%+v", f)
	}

	a.backend.Vanish(a.living.SandboxID)
	finding(t, diagnose(), "the sandboxes of 1 living session are not on their backend's list")

	a.backend.SetIdentity("another")
	d = diagnose()
	if f := finding(t, d, "backend changed: it is now \"another\""); f.Level != host.LevelProblem {
		t.Errorf("%+v", f)
	}
	finding(t, d, "2 sessions are past the deadline, or asked to end, and can't be ended now")

	a.backend.SetIdentity("memory")
	a.backend.Fail(mem.List, mem.Fault{Err: &provider.Error{Class: provider.Unavailable, Message: "cut off"}})
	if f := finding(t, diagnose(), "it is ready, and its sandboxes can't be listed"); f.Level != host.LevelProblem {
		t.Errorf("%+v", f)
	}
	a.backend.Clear()

	if got := len(a.sandboxes()); got != len(all)-1 || !bytes.Equal(leasesOf(t, a), leases) {
		t.Error("a diagnosis has changed something")
	}
	a.reap(t, false)
	if d := diagnose(); !d.Healthy() {
		t.Errorf("after a reap: %+v", d)
	}
}

// While a host lives its leases are left alone, and its pid is told.
func TestDiagnoseBesideAHost(t *testing.T) {
	cfg, _ := parse(t, small)
	b := mem.NewBackend("memory")
	run(t, cfg, linked(b))
	d, err := host.Diagnose(within(t), cfg, host.Options{})
	if err != nil || !d.HostRuns || d.HostPID == 0 || !d.Healthy() || len(d.Findings) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
}

// One of the two headers of the leases is damaged: a host goes by the other, and a diagnosis
// says what may be lost.
func TestDiagnoseADamagedHeader(t *testing.T) {
	a := abandon(t, "1h")
	content := leasesOf(t, a)
	clear(content[:os.Getpagesize()])
	if err := os.WriteFile(filepath.Join(a.dir, "state", "leases.db"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := host.Diagnose(within(t), a.cfg, linked(a.backend))
	if err != nil {
		t.Fatal(err)
	}
	if f := finding(t, d, "one of the two headers of "); f.Level != host.LevelNote || f.About != "leases" || !strings.Contains(f.Message, "its last commit may be lost") || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
	finding(t, d, "leases.db can be used: ")
	var log bytes.Buffer
	opts := linked(a.backend)
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	h, err := host.New(a.cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.Get(t.Context(), a.living.ID); err != nil || !strings.Contains(log.String(), `level=WARN msg="one of the two headers of the lease file is damaged`) {
		t.Errorf("%v, and the start says %q", err, log.String())
	}
}

// A disk that is full or read-only is told, with what it means to the host that lives there, or
// to one that is to be started.
func TestDiagnoseADisk(t *testing.T) {
	if !smalldisk.Alone(t) {
		return
	}
	cfg, dir := parse(t, small)
	disk := filepath.Join(dir, "state")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(errors.Join(os.Mkdir(disk, 0o700), smalldisk.Mount(disk, "size=32m")))
	t.Cleanup(func() { smalldisk.Unmount(disk) })
	b := mem.NewBackend("memory")
	diagnose := func(what, words, then string) {
		t.Helper()
		d, err := host.Diagnose(within(t), cfg, linked(b))
		if err != nil || d.Healthy() != (words == "") {
			t.Errorf("%s: %+v, %v", what, d, err)
		}
		if words == "" {
			return
		}
		if f := finding(t, d, words); f.Level != host.LevelProblem || f.About != "state_dir" || f.Then != then || f.Remedy == "" {
			t.Errorf("%s: %+v", what, f)
		}
	}
	const (
		full     = "is on a file system that is full, or nearly: 0 bytes are free"
		whenFull = "it runs, and starts if its leases are there; what should end, ends; create, ensure and extend are refused while the leases find no room"
		readOnly = "is on a file system that is mounted read-only"
	)
	h, err := host.New(cfg, linked(b))
	must(err)
	diagnose("beside a host", "", "")
	must(smalldisk.Fill(disk))
	diagnose("full, beside a host", full, whenFull)
	must(h.Close())
	diagnose("full, without one", full, whenFull)
	h, err = host.New(cfg, linked(b))
	must(err)
	must(errors.Join(smalldisk.Room(disk), smalldisk.ReadOnly(disk)))
	diagnose("read-only, beside a host", readOnly, "create, ensure and extend are refused; what should end, ends")
	must(h.Close())
	diagnose("read-only, without one", readOnly, "it does not start, and nothing ends")
	if _, err := host.New(cfg, linked(b)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a host starts: %v", err)
	}
}

// Where the plugins can't be started for a look, what else was found is told all the same.
func TestDiagnoseWithoutTemporaryFiles(t *testing.T) {
	a := abandon(t, "1h")
	t.Setenv("TMPDIR", filepath.Join(a.dir, "nowhere"))
	d, err := host.Diagnose(within(t), a.cfg, linked(a.backend))
	if err != nil {
		t.Fatal(err)
	}
	finding(t, d, "leases.db is whole: ")
	if f := finding(t, d, "their plugins can't be started for a look: "); f.Level != host.LevelProblem || f.About != "providers" || !strings.Contains(f.Remedy, "TMPDIR") {
		t.Errorf("%+v", f)
	}
}
