package launch_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
)

func TestVerifiedCopyIsWhatRuns(t *testing.T) {
	o := place(t)
	o.SHA256 = strings.ToUpper(sumOf(mockBinary))
	p := start(t, o)
	dir := filepath.Join(o.CacheDir, p.SHA256())
	for path, mode := range map[string]os.FileMode{o.CacheDir: 0o700, dir: 0o700, filepath.Join(dir, "berth-provider-mock"): 0o700} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(o.CacheDir, ".new-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestGoodCopyIsUsedAgainAndDamagedOneReplaced(t *testing.T) {
	o := place(t)
	p := start(t, o)
	shut(t, p)
	cached := filepath.Join(o.CacheDir, p.SHA256(), "berth-provider-mock")
	before, err := os.Stat(cached)
	if err != nil {
		t.Fatal(err)
	}
	shut(t, start(t, o))
	again, err := os.Stat(cached)
	if err != nil || !os.SameFile(before, again) {
		t.Errorf("the copy was written again: %v", err)
	}
	if err := os.WriteFile(cached, []byte("#!/bin/sh\necho owned\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	shut(t, start(t, o)) // runs the true binary
	if sumOf(cached) != p.SHA256() {
		t.Error("the damaged copy is still there")
	}
}

func TestManyStartsShareACache(t *testing.T) {
	o := place(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			p, err := launch.Start(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			shut(t, p)
		})
	}
	wg.Wait()
}

func TestPruneCache(t *testing.T) {
	o := place(t)
	p := start(t, o)
	old := filepath.Join(o.CacheDir, strings.Repeat("a", 64))
	half := filepath.Join(o.CacheDir, ".new-123")
	foreign := filepath.Join(o.CacheDir, "README")
	for _, dir := range []string{old, foreign} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(half, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := launch.PruneCache(t.Context(), o.CacheDir, []string{mockBinary, "/nowhere"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{old: false, half: false, foreign: true, filepath.Join(o.CacheDir, p.SHA256()): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := launch.PruneCache(t.Context(), filepath.Join(o.CacheDir, "nothing"), nil); err != nil {
		t.Error(err)
	}
}

func TestPrepareRunDir(t *testing.T) {
	dir := t.TempDir()
	run, err := launch.PrepareRunDir(dir)
	if err != nil && !strings.Contains(err.Error(), "characters") {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "left"), nil, 0o600); err != nil && run != "" {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "run")); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	precious := filepath.Join(elsewhere, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "run")); err != nil {
		t.Fatal(err)
	}
	if _, err := launch.PrepareRunDir(dir); err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("a symlink: %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error("what the symlink points to was swept")
	}
}

func TestFingerprint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	missing := launch.Fingerprint(path)
	if err := os.WriteFile(path, []byte("1"), 0o700); err != nil {
		t.Fatal(err)
	}
	first := launch.Fingerprint(path)
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	second := launch.Fingerprint(path)
	if missing == first || first == second || second != launch.Fingerprint(path) {
		t.Errorf("%q %q %q", missing, first, second)
	}
}

func TestEnvironment(t *testing.T) {
	got := launch.Environment(
		[]string{"PATH=/bin", "HOME=/root", "DOCKER_HOST=a", "OTEL_X=b=c", "AWS_SECRET=s", "PATHOLOGY=x", "broken"},
		map[string]string{"DOCKER_HOST": "mine", "EXTRA": "1"})
	want := "DOCKER_HOST=mine EXTRA=1 HOME=/root OTEL_X=b=c PATH=/bin"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}
