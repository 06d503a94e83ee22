//go:build chaos && linux

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/sdk/provider"
)

// processGround is a state directory of the process provider, two levels down in a small
// file system of its own: so it can be full, and be gone with its parent or without. Every
// other lane has readiness and endpoints.
//
// What is true is read from the records, through a descriptor that stays with the directory
// wherever it is, and from /proc: a sandbox runs when its init is alive and no zombie.
type processGround struct {
	l     *lane
	p     *processes // another plugin, beside the host's; where its directory is
	root  *os.Root   // that directory
	ready bool

	moved sync.RWMutex // held while another directory is in its place
}

// groundSize is that of the file system. Each life of the plugin has a copy of itself there,
// as long as a sandbox of it runs.
const groundSize = "640m"

func newProcessGround(l *lane, i int) ground {
	l.s = bareSite(l.t)
	l.name = fmt.Sprint("process-", i)
	if err := os.Mkdir(l.s.path("disk"), 0o700); err != nil {
		l.t.Fatal(err)
	}
	mountSmall(l.t, l.s.path("disk"), groundSize)
	g := &processGround{l: l, ready: i%2 == 0}
	g.p = processesAt(l.s, l.s.path("disk/at/process"))
	l.s.on = g.p
	err := os.MkdirAll(g.p.dir, 0o700)
	if err == nil {
		g.root, err = os.OpenRoot(g.p.dir)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = g.root.Close() })
	g.p.look() // here it may fail
	return g
}

func (g *processGround) provider() string { return "process" }

func (g *processGround) settings(c *settings, env string) {
	c.provider += "env = { " + env + " }\n"
	if g.ready {
		c.blocks += chaosReady
	} else {
		c.template = map[string]string{"port": ""}
	}
}

// The ways to end a sandbox by killing one of its processes.
var killings = map[string]int{"shim killed": 0, "init killed": 1, "killed": 2}

func (g *processGround) troubles() []trouble {
	return []trouble{
		{"command killed", func(l *lane) bool { return l.harm("killed") }},
		{"init killed", func(l *lane) bool { return l.harm("init killed") }},
		{"shim killed", func(l *lane) bool { return l.harm("shim killed") }},
		{"sandbox removed", func(l *lane) bool { return l.harm("removed") }},
		{"sandbox frozen", func(l *lane) bool { return l.harm("frozen") }},
		{"provider's disk full", func(*lane) bool { return g.fillDisk() }},
		{"state directory gone", func(*lane) bool { return g.gone() }},
		{"another state directory", func(*lane) bool { return g.another() }},
	}
}

func (g *processGround) leadsTo() map[string]func(*lane) {
	return map[string]func(*lane){
		"host.recover.failing":      func(l *lane) { l.first("process.create.named"); l.killHost(); l.revive() },
		"process.conflict.removing": func(l *lane) { l.first("process.create.named") },
		"process.sweep.removing":    func(l *lane) { l.first("process.remove.unnamed") },
	}
}

// record is what the auditor reads of a record.
type record struct {
	ID        string
	Owner     string
	SessionID string `json:"session_id"`
}

// listed are the directories that have names.
func (g *processGround) listed(_ context.Context, owner string) (out []found, ok bool) {
	g.seeHidden()
	list, err := g.directories()
	if err != nil {
		return nil, false
	}
	for _, f := range list {
		if f.owner == owner {
			out = append(out, f.found)
		}
	}
	return out, true
}

// seeHidden looks for sandboxes that run and that no list shows: a sandbox has its directory
// from before its first process until after its last.
func (g *processGround) seeHidden() {
	if !g.moved.TryRLock() { // what was made in another directory meanwhile is not of this one
		return
	}
	defer g.moved.RUnlock()
	were := g.processes()
	list, err := g.directories()
	if err != nil {
		return
	}
	for _, r := range were {
		hidden := r.id != "" && !slices.ContainsFunc(list, func(f owned) bool { return f.id == r.id })
		if hidden && slices.Contains(g.processes(), r) { // still
			g.l.broke("process %d of sandbox %s runs, and the sandbox has no directory", r.pid, r.id)
		}
	}
}

// owned is a sandbox and its owner.
type owned struct {
	found
	owner string
}

// directories are the sandboxes that have one.
func (g *processGround) directories() (list []owned, err error) {
	entries, err := fs.ReadDir(g.root.FS(), "sandboxes")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no plugin has opened it yet
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		var r record
		text, err := g.root.ReadFile("sandboxes/" + e.Name() + "/record.json")
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile: a directory gets its name with its record
		}
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, owned{g.seen(r), r.Owner})
	}
	return list, err
}

// seen looks at the processes of a sandbox.
func (g *processGround) seen(r record) found {
	f := found{box: box{id: r.ID, session: r.SessionID}}
	for i, pid := range g.pids(r.ID) {
		state, since := stat(pid)
		name := []string{"shim", "init", "command"}[i]
		if alive := pid != 0 && state != "" && state != "Z" && state != "X"; !alive {
			f.state += name + " ended, "
			continue
		}
		f.state += fmt.Sprintf("%s is %d in state %s, ", name, pid, state)
		f.started += fmt.Sprintf("%d since %s ", pid, since)
		f.running = f.running || name == "init"
	}
	return f
}

// pids are those of shim, init and command; 0 for one that is not there, or is another's by
// now.
func (g *processGround) pids(id string) []int {
	var run struct{ Shim, Init int }
	text, err := g.root.ReadFile("sandboxes/" + id[:strings.LastIndexByte(id, '.')] + "/run.json")
	if err == nil {
		_ = json.Unmarshal(text, &run)
	}
	pids := []int{run.Shim, run.Init, 0}
	for i, pid := range pids {
		if _, of := stageOf(pid); of != id {
			pids[i] = 0
		}
	}
	if pids[1] != 0 {
		pids[2] = g.p.command(pids[1])
	}
	return pids
}

// stageOf tells which of the provider's own processes one is, and of which sandbox.
func stageOf(pid int) (name, id string) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	name, rest, _ := strings.Cut(string(text), "\x00")
	if name != "berth-process-shim" && name != "berth-process-init" {
		return "", ""
	}
	id, _, _ = strings.Cut(rest, "\x00")
	return name, strings.TrimSpace(id)
}

// running is a shim or an init that the lane's plugins have started.
type running struct {
	pid int
	id  string // "": it waits for an order
}

// processes are those whose program is a plugin's copy in the state directory. A zombie has
// none.
func (g *processGround) processes() (list []running) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		exe, err := os.Readlink(dir + "/exe")
		if err != nil || !strings.HasPrefix(exe, g.l.s.path("disk")+"/") {
			continue
		}
		if name, id := stageOf(pid); name != "" {
			list = append(list, running{pid, id})
		}
	}
	return list
}

// sessionIn is the session of a sandbox by its id: berth-<owner>-<session>.<hex>.
func sessionIn(id string) string {
	name := id[:max(0, strings.LastIndexByte(id, '.'))]
	return name[max(0, len(name)-len("00000000-0000-0000-0000-000000000000")):]
}

func (g *processGround) find(_ context.Context, id string) (found, bool, error) {
	list, err := g.directories()
	for _, f := range list {
		if f.id == id {
			return f.found, true, nil
		}
	}
	return found{}, false, err
}

func (g *processGround) make(ctx context.Context, labels map[string]string, _ bool) (string, error) {
	return g.p.makeStranger(ctx, "decoy-"+labels["session_id"], labels)
}

func (g *processGround) harm(ctx context.Context, what, id string) bool {
	if what == "removed" {
		return g.remove(ctx, id) == nil
	}
	pids := g.pids(id)
	if which, kill := killings[what]; kill {
		return pids[which] != 0 && syscall.Kill(pids[which], syscall.SIGKILL) == nil
	}
	all := slices.DeleteFunc(pids, func(pid int) bool { return pid == 0 || syscall.Kill(pid, syscall.SIGSTOP) != nil })
	if g.l.rng.IntN(2) == 0 { // else it stays so, and goes at its deadline all the same
		g.l.linger()
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	return len(all) == 3
}

// remove takes a sandbox away, as another plugin on the directory does.
func (g *processGround) remove(ctx context.Context, id string) error {
	s, err := g.p.look().Get(ctx, provider.Ref{ID: id})
	if err != nil {
		return err
	}
	_, err = g.p.look().Delete(ctx, provider.DeleteRequest{ID: id, Fence: provider.Fence{Owner: s.Owner, SessionID: s.SessionID, Adopted: true}})
	return err
}

// fillDisk leaves no room for records and logs for a while. It reports whether a create has
// failed for it.
func (g *processGround) fillDisk() bool {
	l, path := g.l, g.l.s.path("disk/ballast")
	if fill(path) != nil {
		return false
	}
	dies := l.rng.IntN(3) == 0
	refused := l.whileFull(func() bool {
		failed := l.noRoom("default")
		if dies && failed {
			dies = false
			l.signalPlugin(syscall.SIGKILL)
		}
		return failed
	})
	if err := os.Remove(path); err != nil {
		l.broke("no room is made: %v", err)
	}
	return refused
}

// gone takes the directory away with its parent, as when its file system is not mounted.
func (g *processGround) gone() bool {
	l := g.l
	at, away := l.s.path("disk/at"), l.s.path("disk/away")
	if err := os.Rename(at, away); err != nil {
		l.broke("%v", err)
	}
	l.linger()
	if l.rng.IntN(3) == 0 {
		l.signalPlugin(syscall.SIGKILL)
		l.linger()
	}
	if err := os.Rename(away, at); err != nil { // nobody makes a parent
		l.broke("%v", err)
	}
	return true
}

// another puts an empty directory in the place of this one for a while: another backend.
func (g *processGround) another() bool {
	l := g.l
	if !l.anchored() {
		return false // a provider without sessions takes any backend for its own
	}
	away := g.p.dir + ".away"
	g.moved.Lock()
	defer g.moved.Unlock()
	if err := os.Rename(g.p.dir, away); err != nil {
		l.broke("%v", err)
	}
	l.pause(between(l.rng, 200*time.Millisecond, 6*time.Second))
	for {
		err := unix.Renameat2(unix.AT_FDCWD, away, unix.AT_FDCWD, g.p.dir, unix.RENAME_EXCHANGE)
		if errors.Is(err, fs.ErrNotExist) { // the plugin has not made one
			err = unix.Renameat2(unix.AT_FDCWD, away, unix.AT_FDCWD, g.p.dir, unix.RENAME_NOREPLACE)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			l.broke("%v", err)
		}
		break
	}
	if err := g.drop(away); err != nil {
		l.broke("the other directory: %v", err)
	}
	return true
}

// drop removes another directory, and what was made in it before the host knew.
func (g *processGround) drop(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	other := processesAt(g.l.s, dir)
	other.clean()
	return os.RemoveAll(dir)
}

// strays are the shims that wait for an order. They end with their plugin.
func (g *processGround) strays() error {
	for _, r := range g.processes() {
		if r.id == "" {
			return fmt.Errorf("process %d waits for an order", r.pid)
		}
	}
	return nil
}

func (g *processGround) left() error {
	var left []string
	tell := func(what string, name any) { left = append(left, fmt.Sprint(what, " ", name)) }
	for _, r := range g.processes() {
		tell("process", r.pid)
	}
	entries, err := fs.ReadDir(g.root.FS(), "sandboxes")
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "decoy-") {
			tell("directory", e.Name())
		}
	}
	for _, dir := range g.groups() {
		tell("cgroup", dir)
	}
	mounts, readErr := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		at := strings.Fields(line)[4]
		if strings.HasPrefix(at, g.l.s.dir+"/") && at != g.l.s.path("disk") && at != g.l.s.path("state") {
			tell("mount", at)
		}
	}
	if len(left) > 0 {
		err = errors.Join(err, errors.New(strings.Join(left, ", ")))
	}
	return cmp.Or(err, readErr)
}

// groups are the cgroups of the lane's sessions, of both versions.
func (g *processGround) groups() []string {
	g.l.model.mu.Lock()
	defer g.l.model.mu.Unlock()
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/berth/*-*")
	v2, _ := filepath.Glob("/sys/fs/cgroup/berth/*-*")
	return slices.DeleteFunc(append(v1, v2...), func(dir string) bool { return g.l.model.of[sessionIn(filepath.Base(dir))] == nil })
}

// clean also ends what no directory tells of, after a run that has found such.
func (g *processGround) clean([]string, ...string) {
	g.p.clean()
	for _, r := range g.processes() {
		_ = syscall.Kill(r.pid, syscall.SIGKILL)
	}
	if !eventually(10*time.Second, func() bool {
		for _, dir := range g.groups() {
			_ = syscall.Rmdir(dir)
		}
		return len(g.groups()) == 0
	}) {
		g.l.t.Errorf("cgroups are left: %v", g.groups())
	}
}
