package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// smallDiskEnv has the directory that gets a small file system of the host's own, and ":ro"
// behind it where nobody may write there.
const smallDiskEnv = "BERTH_E2E_DISK"

// mountSmallDisk gives this process, which has mounts of its own, what smallDiskEnv says.
func mountSmallDisk(spec string) error {
	dir, mode, _ := strings.Cut(spec, ":")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	err := smalldisk.Mount(dir, "size=96m")
	if err == nil && mode == "ro" {
		err = smalldisk.ReadOnly(dir)
	}
	return err
}

// needMounts skips a test where a process can't have mounts of its own.
func needMounts(t *testing.T) {
	t.Helper()
	switch {
	case runtime.GOOS != "linux":
		t.Skip("mounts of a process's own need Linux")
	case os.Geteuid() != 0:
		t.Skip("mounting a small file system needs root")
	}
}

// onMock configures a host with a mock alone, whose sandboxes are in the file "world".
func (s *site) onMock() {
	s.configure(settings{noDocker: true, lifecycle: map[string]string{"stop_grace": `"1s"`, "max_sessions": "5000"},
		more: "provider \"mock\" {\n  config {\n    state_file = " + quote(s.path("world")) + "\n  }\n}\n" + mockTemplate("on-mock", "mock")})
}

// onSmallDisk starts a host whose state directory is a small file system of its own.
func (s *site) onSmallDisk(t *testing.T, mode string) (*remote, reply) {
	t.Helper()
	s.onMock()
	h, first := s.launch(smallDiskEnv + "=" + s.path("state") + mode)
	if first.Err != nil && strings.Contains(first.Err.Text, "operation not permitted") {
		t.Skip("this machine does not let root mount")
	}
	return h, first
}

// On a full disk what should end, ends, and what lives, lives; nothing new is promised. With
// room again all is as before, without a restart.
func TestPromise2_FullDisk(t *testing.T) {
	t.Parallel()
	needMounts(t)
	s := bareSite(t)
	h, first := s.onSmallDisk(t, "")
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	h.ready()
	lives, goes := h.create(onMock()), h.create(onMock())
	short := onMock()
	short.TTL = 6 * time.Second
	expires := h.create(short)
	h.must(order{Verb: "fill", Path: s.path("state")})

	var made []host.Session
	var refusal *fault
	for range 2000 {
		r, err := h.do(order{Verb: "create", Create: onMock()})
		if errors.As(err, &refusal) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		made = append(made, *r.Session)
	}
	if refusal == nil || refusal.Code != host.CodeUnavailable || !strings.Contains(refusal.Text, "no space left on device") {
		t.Fatalf("after %d creates on a full disk: %v", len(made), refusal)
	}
	t.Logf("%d creates found room in the file, and then: %v", len(made), refusal)
	was := lives.ExpiresAt
	if r, err := h.do(order{Verb: "extend", Session: lives.ID, Extend: host.ExtendRequest{By: time.Minute}}); err == nil {
		was = r.Session.ExpiresAt
	} else if !errors.Is(err, host.CodeUnavailable) {
		t.Errorf("an extension: %v", err)
	}
	h.delete(goes.ID)
	if e := h.ended(expires.ID, patience); e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(expires.ExpiresAt) {
		t.Errorf("it ended: %+v", e.Ended)
	}
	if now := h.get(lives.ID); now.Status != host.StatusRunning || !now.ExpiresAt.Equal(was) {
		t.Errorf("the session that lives: %+v, until %v", now, was)
	}
	boxes := s.world("world")
	for id, want := range map[string]bool{lives.SandboxID: true, goes.SandboxID: false, expires.SandboxID: false} {
		if slices.Contains(boxes, id) != want {
			t.Errorf("sandbox %s is there: %v", id, !want)
		}
	}
	if len(boxes) != 1+len(made) {
		t.Errorf("%d sandboxes, want %d: the refused create has left something", len(boxes), 1+len(made))
	}

	h.must(order{Verb: "room", Path: s.path("state")})
	again := h.create(onMock())
	if now := h.extend(lives.ID, time.Minute); !now.ExpiresAt.Equal(was.Add(time.Minute)) {
		t.Errorf("extended to %v, from %v", now.ExpiresAt, was)
	}
	h.delete(again.ID)
	if p := h.provider("mock"); p.Generation != 1 {
		t.Errorf("the plugin is in generation %d", p.Generation)
	}
}

// A host that went starts again on a disk that is full when it comes, and what has expired
// meanwhile goes; so it does by a reap. There is no room for a directory, as on most disks that
// are full, and for no name but that of the host's socket.
func TestPromise2_StartOnAFullDisk(t *testing.T) {
	t.Parallel()
	needMounts(t)
	for name, c := range map[string]struct {
		names int // that the disk has room for
		ends  func(s *site, expired host.Session)
	}{
		"serve": {1, func(s *site, expired host.Session) {
			h := s.start().ready()
			if e := h.ended(expired.ID, patience); e.Ended.Reason != host.ReasonExpired {
				s.t.Errorf("it ended: %+v", e.Ended)
			}
			h.terminate()
		}},
		"reap": {0, func(s *site, expired host.Session) {
			cmd := exec.Command(filepath.Join(world.bin, "berth"), "reap", "--expired", "--config", s.path("config.hcl"))
			text := &lines{}
			cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "TMPDIR="+tempDir()), text, text
			err := s.begin(cmd)
			if err == nil {
				err = cmd.Wait()
			}
			if err != nil {
				s.t.Errorf("berth reap: %v", err)
			}
			wantWords(s.t, "the reap", text.String(), expired.ID, "1 reaped, 0 adopted, 0 left, 1 living")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bareSite(t)
			s.onMock()
			s.within = smalldisk.Shared(t)
			disk := s.path("state")
			must := func(f func() error) {
				t.Helper()
				if err := s.within(f); err != nil {
					t.Fatal(err)
				}
			}
			must(func() error {
				return errors.Join(os.Mkdir(disk, 0o700), smalldisk.Mount(disk, "size=96m,nr_inodes=100"))
			})
			h := s.start().ready()
			lives := h.create(onMock())
			short := onMock()
			short.TTL = 4 * time.Second
			expires := h.create(short)
			h.terminate()
			must(func() error { return errors.Join(smalldisk.Fill(disk), smalldisk.FillNames(disk, c.names)) })
			holds(t, expires.ExpiresAt, "the sandbox is there while no host is", func() bool { return slices.Contains(s.world("world"), expires.SandboxID) })

			c.ends(s, expires)
			if boxes := s.world("world"); !slices.Equal(boxes, []string{lives.SandboxID}) {
				t.Errorf("sandboxes %q, want %s alone", boxes, lives.SandboxID)
			}
			must(func() error { return smalldisk.Room(disk) })
			h = s.start().ready()
			if now := h.get(lives.ID); now.Status != host.StatusRunning || !now.ExpiresAt.Equal(lives.ExpiresAt) {
				t.Errorf("the session that lives: %+v", now)
			}
			if e := h.ended(expires.ID, patience); e.Ended.Reason != host.ReasonExpired {
				t.Errorf("with room again it ended: %+v", e.Ended)
			}
		})
	}
}

// A state directory that can't be written stops the start, with the reason.
func TestPromise8_ReadOnlyStateDirectory(t *testing.T) {
	t.Parallel()
	needMounts(t)
	s := bareSite(t)
	_, first := s.onSmallDisk(t, ":ro")
	if first.Err == nil || !strings.Contains(first.Err.Text, "state_dir: ") || !strings.Contains(first.Err.Text, "read-only file system") {
		t.Errorf("the start: %v", first.Err)
	}
}
