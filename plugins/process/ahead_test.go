//go:build linux

package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

// kindOf is what a blank for spec is.
func (r *rig) kindOf(t *testing.T, spec provider.Spec) stage.Blank {
	t.Helper()
	plan, err := r.plan(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	plan.close()
	return plan.order.Blank
}

// early waits until a blank is ready, with its init, and returns the pid of its shim.
func (r *rig) early(t *testing.T) (shim int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only a host that is root has a shim ready")
	}
	await(t, "a blank", func() bool {
		r.ahead.mu.Lock()
		defer r.ahead.mu.Unlock()
		shim = 0
		if r.ahead.ready != nil {
			shim = pidOf(t, r.ahead.ready)
		}
		return shim != 0 && len(childrenOf(t, shim)) == 1
	})
	return shim
}

// pidOf is the pid of a blank's shim; 0 when it has ended.
func pidOf(t *testing.T, b *blank) (pid int) {
	t.Helper()
	_ = b.shim.control(func(fd uintptr) {
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(info, []byte("Pid:"))
		_, _ = fmt.Sscan(string(rest), &pid)
	})
	return max(0, pid)
}

// childrenOf are the pids of a process's children.
func childrenOf(t *testing.T, parent int) (found []int) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(b, []byte(") ")) // what follows the name
		if f := strings.Fields(string(rest)); len(f) > 1 && f[1] == strconv.Itoa(parent) && f[0] != "Z" {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			found = append(found, pid)
		}
	}
	return found
}

// gone reports whether a process has ended; whoever its parent is now may not have reaped it.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err != nil || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

func (r *rig) runOf(t *testing.T, s provider.Sandbox) stage.Run {
	t.Helper()
	b, err := r.dir.find(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	return b.run
}

// filesOf are the descriptors of a process, each with what kind of file it is.
func filesOf(t *testing.T, pid int) (out []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil {
			kind, _, _ := strings.Cut(link, ":[")
			out = append(out, kind)
		}
	}
	slices.Sort(out)
	return out
}

// The second sandbox is made of a shim that was there before, and is like the first: ids,
// environment, descriptors, names, groups.
func TestAhead(t *testing.T) {
	r := newRig(t, Config{})
	if r.ahead.ready != nil {
		t.Error("a provider that has made nothing has a blank")
	}
	sleeper := func(s *provider.Spec) { s.Command, s.Port = []string{"sleep", "600"}, 0 }
	var files, commandFiles [2][]string
	for i := range 2 {
		shim := 0
		if i == 1 {
			shim = r.early(t)
		}
		s := r.create(r.newSpec(sleeper)).Sandbox
		run := r.runOf(t, s)
		if shim != 0 && run.Shim != shim {
			t.Errorf("the sandbox's shim is %d, and %d was ready", run.Shim, shim)
		}
		if mine := len(processesOf(t, s.ID)); mine != 2 {
			t.Errorf("%d processes bear the id", mine)
		}
		for _, pid := range []int{run.Shim, run.Init} {
			env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
			settings := strings.Split(strings.TrimSuffix(string(env), "\x00"), "\x00")
			if err != nil || slices.ContainsFunc(settings, func(s string) bool {
				return !slices.Contains([]string{"GOMAXPROCS", "GOGC", "GORACE"}, strings.Split(s, "=")[0])
			}) {
				t.Errorf("environment of %d: %q, %v", pid, env, err)
			}
		}
		command := childrenOf(t, run.Init)
		if len(command) != 1 {
			t.Fatalf("children of the init: %v", command)
		}
		await(t, "the command", func() bool {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", command[0]))
			return string(b) == "sleep\n"
		})
		commandFiles[i] = filesOf(t, command[0])
		b, err := r.dir.find(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, e := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); e == 0 { // a build as it is shipped
			await(t, "all threads of the init in the sandbox's groups", func() bool {
				return threadsOutside(t, run.Init, b.rec.Cgroups) == 0
			})
		}
		await(t, "the init without the files by which it joined them", func() bool {
			files[i] = filesOf(t, run.Init)
			return !slices.ContainsFunc(files[i], func(name string) bool { return strings.HasSuffix(name, "/tasks") })
		})
		r.delete(s)
	}
	if want := []string{"/dev/null", "pipe", "pipe"}; !slices.Equal(commandFiles[0], want) || !slices.Equal(commandFiles[1], want) {
		t.Errorf("the commands hold %q and %q, want %q", commandFiles[0], commandFiles[1], want)
	}
	if !slices.Equal(files[0], files[1]) {
		t.Errorf("the inits hold %q and %q", files[0], files[1])
	}
	r.nothingLeft(t)
}

// threadsOutside counts the threads of a process that are not in groups of version 1.
func threadsOutside(t *testing.T, pid int, groups []string) (n int) {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range groups {
		b, err := os.ReadFile(filepath.Join(dir, "tasks"))
		if os.IsNotExist(err) {
			continue // version 2, whose groups hold processes
		}
		in := strings.Fields(string(b))
		for _, thread := range threads {
			if !slices.Contains(in, thread.Name()) {
				n++
			}
		}
	}
	return n
}

// A blank that has died before it is needed, or its init, is no obstacle.
func TestAheadDied(t *testing.T) {
	r := newRig(t, Config{})
	r.delete(r.create(r.newSpec()).Sandbox)
	for name, kill := range map[string]func(shim int){
		"shim": func(shim int) { _ = unix.Kill(shim, unix.SIGKILL) },
		"init": func(shim int) { _ = unix.Kill(childrenOf(t, shim)[0], unix.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			shim := r.early(t)
			inits := childrenOf(t, shim)
			kill(shim)
			await(t, "the end of both", func() bool {
				r.ahead.mu.Lock()
				defer r.ahead.mu.Unlock()
				return !r.ahead.ready.alive() && gone(inits[0])
			})
			s := r.create(r.newSpec()).Sandbox
			if run := r.runOf(t, s); run.Shim == shim {
				t.Error("the dead shim has a sandbox")
			}
			r.get(s, "/")
			r.delete(s)
		})
	}
	r.nothingLeft(t)
}

// A blank that dies when it has been taken, and has not read its order, is replaced too.
func TestAheadDiesWithItsOrder(t *testing.T) {
	r := newRig(t, Config{})
	r.delete(r.create(r.newSpec()).Sandbox)
	shim := r.early(t)
	if err := unix.Kill(shim, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	spec := r.newSpec()
	var all sync.WaitGroup
	all.Go(func() {
		await(t, "the order", func() bool { // the log is opened just before it is sent
			_, err := os.Stat(filepath.Join(r.dir.box(spec.Name), fileShimLog))
			return err == nil
		})
		_ = unix.Kill(shim, unix.SIGKILL)
	})
	s := r.create(spec).Sandbox
	all.Wait()
	if run := r.runOf(t, s); run.Shim == shim {
		t.Error("the dead shim has a sandbox")
	}
	r.get(s, "/")
	r.delete(s)
	r.nothingLeft(t)
}

// Creates at once share nothing, and leave one blank.
func TestAheadTwo(t *testing.T) {
	r := newRig(t, Config{})
	r.delete(r.create(r.newSpec()).Sandbox)
	ready := r.early(t)
	shims := make([]int, 4)
	var all sync.WaitGroup
	for i := range shims {
		spec := r.newSpec()
		all.Go(func() {
			created, err := r.Create(t.Context(), spec)
			if err != nil {
				t.Error(err)
				return
			}
			shims[i] = r.runOf(t, created.Sandbox).Shim
			r.get(created.Sandbox, "/")
			r.delete(created.Sandbox)
		})
	}
	all.Wait()
	if !slices.Contains(shims, ready) {
		t.Errorf("the shims are %v; %d was ready", shims, ready)
	}
	slices.Sort(shims)
	if len(slices.Compact(shims)) != 4 {
		t.Errorf("a shim was used twice: %v", shims)
	}
	r.early(t)
	if blanks := blanksOf(t, os.Getpid()); len(blanks) != 1 {
		t.Errorf("blanks: %v", blanks)
	}
	r.nothingLeft(t)
}

// blanksOf are the pids of a process's shims that have no order.
func blanksOf(t *testing.T, parent int) (found []int) {
	t.Helper()
	for _, pid := range childrenOf(t, parent) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && string(b) == stage.ShimName+"\x00"+stage.Nameless+"\x00" {
			found = append(found, pid)
		}
	}
	return found
}

// A sandbox of another user is not made of a blank, which waits on.
func TestAheadOtherUser(t *testing.T) {
	r := newRig(t, Config{})
	r.delete(r.create(r.newSpec()).Sandbox)
	ready := r.early(t)
	s := r.create(r.newSpec(sandboxConfig(`{"user": "54322:54323"}`))).Sandbox
	run := r.runOf(t, s)
	if run.Shim == ready {
		t.Error("its shim was ready for another user")
	}
	r.get(s, "/")
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/task", childrenOf(t, run.Init)[0]), &st); err != nil || st.Uid != 54322 || st.Gid != 54323 {
		t.Errorf("the command's ids are %d:%d, %v", st.Uid, st.Gid, err)
	}
	r.delete(s)
	if still := r.early(t); still != ready {
		t.Errorf("the blank was %d and is %d", ready, still)
	}
}

// Blanks end when they have waited long enough, and when the provider is closed; then no
// more are made.
func TestAheadEnds(t *testing.T) {
	r := newRig(t, Config{})
	kind := r.kindOf(t, r.newSpec())
	a := &ahead{start: r.startBlank, idle: time.Millisecond}
	a.refill(kind)
	await(t, "the end of an idle blank", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return !a.starting && a.ready == nil
	})
	a.close()
	a.refill(kind)
	if a.starting || a.take(kind) != nil {
		t.Error("a blank after close")
	}
	await(t, "the end of all blanks", func() bool { return len(blanksOf(t, os.Getpid())) == 0 })

	r.create(r.newSpec(func(s *provider.Spec) { s.Port = 0 }))
	shim := r.early(t)
	inits := childrenOf(t, shim)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(inits, shim) {
		if !gone(pid) {
			t.Errorf("%d has outlived its provider", pid)
		}
	}
}

// A blank goes with its plugin, however that ends.
func TestAheadPluginEnds(t *testing.T) {
	p := newPlugins(t)
	r := newRig(t, Config{StateDir: p.state})
	for name, end := range map[string]func(t *testing.T, pid int){
		"killed": func(_ *testing.T, pid int) { _ = unix.Kill(pid, unix.SIGKILL) },
		"asked":  func(_ *testing.T, pid int) { _ = unix.Kill(pid, unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			process := p.start()
			created, err := process.Plugin().Provider().Create(t.Context(), r.newSpec())
			if err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() != 0 {
				t.Skip("only a host that is root has a shim ready")
			}
			var shims, inits []int
			await(t, "a blank", func() bool {
				if shims = blanksOf(t, process.PID()); len(shims) != 1 {
					return false
				}
				inits = childrenOf(t, shims[0])
				return len(inits) == 1
			})
			end(t, process.PID())
			begun := time.Now()
			await(t, "the end of the blank", func() bool { return gone(shims[0]) && gone(inits[0]) })
			if took := time.Since(begun); took > time.Second {
				t.Errorf("the blank was gone after %s, which is too long also for a busy machine", took)
			}
			if status, _ := r.get(created.Sandbox, "/"); status != 200 {
				t.Errorf("the sandbox: status %d", status)
			}
			r.delete(created.Sandbox)
			<-process.Done()
		})
	}
	r.nothingLeft(t)
}
