//go:build linux

package process

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

// escape is one thing that a sandbox tries. With the mechanism it must fail, without it it
// must work: else the test proves nothing of the mechanism. Others that would stop it too
// are left out in both runs.
type escape struct {
	name    string
	stops   string   // the mechanism
	without []string // the others
	root    bool     // only where the host is root
	cgroup  string   // only where this controller can limit it

	// attempt reports whether the sandbox got what it should not.
	attempt func(t *testing.T, r *rig, s provider.Sandbox, x *lure) (escaped bool, text string)
	change  func(*provider.Spec, *lure)
}

// lure is what there is on the host to be had.
type lure struct {
	dir      string // of the host, open to all; not mounted
	shared   string // mounted at /shared, writable
	readOnly string // mounted at /readonly
	victim   int    // pid of a process with the sandboxes' user id, which may trace it
	sys      string // a file of /sys that the sandboxes' user may write; "" for none
	abstract string // an abstract socket that listens
	tcp      string // an address of the host that listens
	shm      int    // key of shared memory
}

func TestEscapes(t *testing.T) {
	needNamespaces(t)
	x, tree := newLure(t), cgroup.Find(cgroup.Mountpoint, defaultCgroup)
	for _, e := range escapes {
		t.Run(strings.ReplaceAll(e.name, " ", "_")+"/"+e.stops, func(t *testing.T) {
			if e.root && os.Geteuid() != 0 {
				t.Skip("only root can set this up")
			}
			if e.stops == stage.Landlock {
				needLandlock(t)
			}
			if e.cgroup != "" {
				needCgroup(t, tree, e.cgroup)
			}
			if escaped, text := e.run(t, x, e.without); escaped {
				t.Errorf("with %s: the sandbox got out: %s", e.stops, text)
			} else {
				t.Logf("with %s: %s", e.stops, text)
			}
			if escaped, text := e.run(t, x, append([]string{e.stops}, e.without...)); !escaped {
				t.Errorf("without %s the sandbox should get out, or this proves nothing: %s", e.stops, text)
			}
		})
	}
}

func (e escape) run(t *testing.T, x *lure, off []string) (bool, string) {
	r := newRig(t, Config{}, off...)
	spec := r.newSpec(func(s *provider.Spec) {
		s.Mounts = append(s.Mounts,
			provider.Mount{Name: "shared", Source: x.shared, Target: "/shared"},
			provider.Mount{Name: "readonly", Source: x.readOnly, Target: "/readonly", ReadOnly: true})
		for _, o := range off {
			if o == stage.Root { // then it has the host's paths
				s.Command[0] = world.agent
			}
			if o == stage.User { // then RLIMIT_NPROC counts all that its user runs on this machine
				s.Resources.Pids = 4096
			}
			if o == stage.Net { // then it has the host's ports
				s.Port = freePort(t)
				s.Command = append(s.Command, "-listen", "127.0.0.1:"+strconv.Itoa(s.Port))
			}
		}
		if e.change != nil {
			e.change(s, x)
		}
	})
	if os.Geteuid() == 0 { // what is made ahead must hold as much
		r.ahead.refill(r.kindOf(t, spec))
		r.early(t)
	}
	s := r.create(spec).Sandbox
	defer r.delete(s)
	return e.attempt(t, r, s, x)
}

// try makes an attempt of one probe. Its arguments may name the lure's things.
func try(name string, args ...string) func(*testing.T, *rig, provider.Sandbox, *lure) (bool, string) {
	return func(_ *testing.T, r *rig, s provider.Sandbox, x *lure) (bool, string) {
		replaced := make([]string, len(args))
		for i, a := range args {
			replaced[i] = strings.NewReplacer("{dir}", x.dir, "{victim}", strconv.Itoa(x.victim),
				"{abstract}", x.abstract, "{tcp}", x.tcp, "{shm}", strconv.Itoa(x.shm)).Replace(a)
		}
		text, ok := r.probe(s, name, replaced...)
		return ok, name + " " + strings.Join(replaced, " ") + ": " + text
	}
}

// finds is try for what can always be asked, and tells too much when it holds text.
func finds(text func(*lure) string, name string, args ...string) func(*testing.T, *rig, provider.Sandbox, *lure) (bool, string) {
	return func(t *testing.T, r *rig, s provider.Sandbox, x *lure) (bool, string) {
		got, ok := r.probe(s, name, args...)
		return ok && strings.Contains(got, text(x)), got
	}
}

func always(text string) func(*lure) string { return func(*lure) string { return text } }

func newLure(t *testing.T) *lure {
	t.Helper()
	x := &lure{abstract: "@berth-test-" + uuid.NewString()}
	dir, err := os.MkdirTemp("", "berth-lure-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	x.dir, x.shared, x.readOnly = dir, filepath.Join(dir, "shared"), filepath.Join(dir, "readonly")
	for _, d := range []string{x.dir, x.shared, x.readOnly} {
		_ = os.Mkdir(d, 0o777)
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("host secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(world.agent, "-traceable", "-never-listen", "-exit-after", "10m") // also where nobody is left to end it
	if os.Geteuid() == 0 {
		uid, gid, _ := parseUser(defaultUser)
		victim.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		x.sys = sysFile(t, uid)
		mode := uint32(unix.S_IFCHR | 0o666)
		if err := unix.Mknod(filepath.Join(x.shared, "null"), mode, int(unix.Mkdev(1, 3))); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(x.shared, "null"), 0o666); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(world.agent)
		if err == nil {
			err = os.WriteFile(filepath.Join(x.shared, "suid"), b, 0o755)
		}
		if err == nil {
			err = os.Chmod(filepath.Join(x.shared, "suid"), 0o755|os.ModeSetuid)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	said, err := victim.StdoutPipe()
	if err == nil {
		err = victim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = victim.Process.Kill(); _ = victim.Wait() })
	if _, err := said.Read(make([]byte, 1)); err != nil { // it may be traced from then on
		t.Fatal(err)
	}
	x.victim = victim.Process.Pid
	for _, l := range []struct{ network, address string }{{"unix", x.abstract}, {"tcp", "127.0.0.1:0"}} {
		listener, err := net.Listen(l.network, l.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		if l.network == "tcp" {
			x.tcp = listener.Addr().String()
		}
	}
	x.shm = 0x42000000 + os.Getpid()
	id, err := unix.SysvShmGet(x.shm, 4096, unix.IPC_CREAT|unix.IPC_EXCL|0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	return x
}

// sysFile is a file of a cgroup without processes, given to uid; "" where none can be made.
// Whatever is written to it changes nothing.
func sysFile(t *testing.T, uid int) string {
	t.Helper()
	for parent, name := range map[string]string{"pids": "notify_on_release", ".": "cgroup.max.depth"} { // version 1 and 2
		dir := filepath.Join(cgroup.Mountpoint, parent, "berth-lure-"+uuid.NewString())
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		})
		if file := filepath.Join(dir, name); os.Chown(file, uid, -1) == nil {
			return file
		}
	}
	return ""
}

// freePort is a port that was free a moment ago; for sandboxes in the host's network.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A key that is in the host's session keyring is not to be found in a sandbox.
func TestKeyrings(t *testing.T) {
	needNamespaces(t)
	runtime.LockOSThread() // and never unlocked: the thread, and its keyring, end with this goroutine
	if _, _, e := unix.Syscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0); e != 0 {
		t.Skipf("the kernel has no keyrings here: %v", e)
	}
	if _, err := unix.AddKey("user", "berth-secret", []byte("host secret"), unix.KEY_SPEC_SESSION_KEYRING); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off  []string
		want bool
	}{
		{[]string{stage.Seccomp}, false},
		{[]string{stage.Keyring}, false}, // the filter refuses keyctl
		{[]string{stage.Seccomp, stage.Keyring}, true},
	} {
		r := newRig(t, Config{}, c.off...)
		s := r.create(r.newSpec()).Sandbox
		text, found := r.probe(s, "key", "berth-secret")
		if found != c.want {
			t.Errorf("without %v: found %v (%s), want %v", c.off, found, text, c.want)
		}
		r.delete(s)
	}
}
