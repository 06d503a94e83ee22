package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/plugins/process"
	"github.com/berth-dev/berth/sdk/provider"
)

// isolates tells why sandboxes can't be made of processes here.
func isolates() error {
	dir, err := os.MkdirTemp(world.root, "isolates")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := process.New(process.Config{StateDir: dir}, process.Options{})
	if err != nil {
		return err
	}
	defer p.Close()
	health, err := p.Health(context.Background())
	if err == nil && !health.Available {
		err = errors.New(health.Message)
	}
	return err
}

// processes is the process provider on the state directory of one place. It is looked at
// through the provider's library, as another plugin beside the host's, and through /proc.
type processes struct {
	s    *site
	at   string                   // the state directory, as configured
	dir  string                   // and where it is now
	look func() *process.Provider // opens it, once
	open bool
}

func newProcesses(s *site) backend {
	p := processesAt(s, s.path("disk/process"))
	p.must(os.Mkdir(filepath.Dir(p.at), 0o755))
	return p
}

func processesAt(s *site, dir string) *processes {
	p := &processes{s: s, at: dir, dir: dir}
	p.lookAnew()
	return p
}

// lookAnew lets look open the state directory where it is now.
func (p *processes) lookAnew() {
	if p.open {
		p.must(p.look().Close())
		p.open = false
	}
	p.look = sync.OnceValue(func() *process.Provider {
		own, err := process.New(process.Config{StateDir: p.dir}, process.Options{})
		p.must(err)
		p.open = true
		return own
	})
}

func (p *processes) must(err error) {
	p.s.t.Helper()
	if err != nil {
		p.s.t.Fatal(err)
	}
}

// box is the directory of a sandbox.
func (p *processes) box(id string) string {
	return filepath.Join(p.dir, "sandboxes", id[:strings.LastIndexByte(id, '.')])
}

func (p *processes) name() string { return "process" }

func (p *processes) block(more string) string {
	return "provider \"process\" {\n  config {\n    state_dir = " + quote(p.at) + "\n  }\n" + more + "\n}\n"
}

func (p *processes) usual() map[string]string {
	return map[string]string{"provider": `"process"`, "command": `["/agent"]`, "port": p.s.port, "ttl": `"5m"`}
}

// needed is the agent, where it is in the image too.
func (p *processes) needed() string {
	return "  mount \"agent\" {\n    source    = " + quote(world.agent) + "\n    target    = \"/agent\"\n    read_only = true\n  }\n"
}

func (p *processes) sandboxes(owner string) []box {
	p.s.t.Helper()
	var list []box
	_, err := p.look().List(context.Background(), func(s provider.Sandbox) error {
		if s.Owner == owner {
			list = append(list, p.boxOf(s))
		}
		return nil
	})
	p.must(err)
	return list
}

func (p *processes) inspect(id string) (box, bool) {
	p.s.t.Helper()
	s, err := p.look().Get(context.Background(), provider.Ref{ID: id})
	if errors.Is(err, provider.NotFound) {
		return box{}, false
	}
	p.must(err)
	return p.boxOf(s), true
}

func (p *processes) boxOf(s provider.Sandbox) box {
	b := box{id: s.ID, session: s.SessionID, running: s.State == provider.StateRunning, made: s.CreatedAt}
	if b.running {
		b.frozen = true
		for _, pid := range p.pids(s.ID) {
			state, started := stat(pid)
			b.frozen = b.frozen && state == "T"
			b.started += fmt.Sprintf("%d since %s ", pid, started)
		}
	}
	return b
}

// pids are those of the sandbox's shim, init and command, as far as they are there.
func (p *processes) pids(id string) []int {
	var run struct{ Shim, Init int }
	text, err := os.ReadFile(filepath.Join(p.box(id), "run.json"))
	if err == nil {
		err = json.Unmarshal(text, &run)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.s.t.Fatal(err)
	}
	pids := []int{run.Shim, run.Init}
	if command := p.command(run.Init); command != 0 {
		pids = append(pids, command)
	}
	return slices.DeleteFunc(pids, func(pid int) bool { return pid == 0 })
}

// command is the pid of what an init has started; 0 when it has ended.
func (p *processes) command(init int) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", init))
	for _, path := range tasks {
		children, _ := os.ReadFile(path) // the thread may be gone by now
		if f := strings.Fields(string(children)); len(f) > 0 {
			pid, _ := strconv.Atoi(f[0])
			return pid
		}
	}
	return 0
}

// stat is a process's state and when it was started; see proc_pid_stat(5).
func stat(pid int) (state, started string) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	if f := strings.Fields(rest); len(f) > 19 {
		return f[0], f[19]
	}
	return "", ""
}

func (p *processes) kill(id string) {
	p.s.t.Helper()
	pids := p.pids(id)
	if len(pids) != 3 {
		p.s.t.Fatalf("sandbox %s has the processes %v, want shim, init and command", id, pids)
	}
	p.must(syscall.Kill(pids[2], syscall.SIGKILL))
}

func (p *processes) stop(id string) {
	p.s.t.Helper()
	s, err := p.look().Get(p.s.t.Context(), provider.Ref{ID: id})
	p.must(err)
	_, err = p.look().Stop(p.s.t.Context(), provider.StopRequest{ID: id, Grace: patience, Fence: provider.Fence{Owner: s.Owner, SessionID: s.SessionID}})
	p.must(err)
}

func (p *processes) remove(id string) {
	p.s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := p.look().Get(ctx, provider.Ref{ID: id})
	if err == nil {
		_, err = p.look().Delete(ctx, provider.DeleteRequest{ID: id, Fence: provider.Fence{Owner: s.Owner, SessionID: s.SessionID, Adopted: true}})
	}
	if err != nil && !errors.Is(err, provider.NotFound) {
		p.s.t.Error(err)
	}
}

// freeze returns when they have stopped: a process that waits for a processor takes the signal
// when it gets one.
func (p *processes) freeze(id string) {
	p.s.t.Helper()
	p.signal(id, syscall.SIGSTOP)
	await(p.s.t, patience, "sandbox "+id+" has stopped", func() bool {
		b, there := p.inspect(id)
		return !there || !b.running || b.frozen
	})
}

func (p *processes) thaw(id string) { p.signal(id, syscall.SIGCONT) }

func (p *processes) signal(id string, sig syscall.Signal) {
	p.s.t.Helper()
	for _, pid := range p.pids(id) {
		p.must(syscall.Kill(pid, sig))
	}
}

func (p *processes) stranger(name string, labels map[string]string) string {
	p.s.t.Helper()
	id, err := p.makeStranger(p.s.t.Context(), name, labels)
	p.must(err)
	p.s.t.Cleanup(func() { p.remove(id) })
	return id
}

// makeStranger makes a sandbox with the library. Labels that the provider does not write are
// written into its record.
func (p *processes) makeStranger(ctx context.Context, name string, labels map[string]string) (id string, err error) {
	spec := provider.Spec{
		Name: name, Owner: "nobody", SessionID: labels["session_id"], ChatID: labels["chat_id"], AgentID: labels["agent_id"],
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond), ExpiresAt: time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond),
		Mounts:  []provider.Mount{{Name: "agent", Source: world.agent, Target: "/agent", ReadOnly: true}},
		Command: []string{"/agent"}, Port: 8000,
		Resources: provider.Resources{MemoryBytes: 64 << 20, NanoCPUs: 1e9, Pids: 64, Swap: provider.SwapAuto},
	}
	changed := map[string]any{}
	if owner, labelled := labels["berth.owner"]; labelled {
		spec.Owner = owner
	} else {
		changed["owner"] = ""
	}
	if at, err := time.Parse(time.RFC3339Nano, labels["expires_at"]); err == nil {
		spec.ExpiresAt = at
	} else {
		changed["expires_at"] = labels["expires_at"]
	}
	if port, err := strconv.Atoi(labels["endpoint_port"]); err != nil || port <= 0 {
		changed["endpoint_port"] = port
	}
	made, err := p.look().Create(ctx, spec)
	if err != nil {
		return "", err
	}
	return made.Sandbox.ID, p.rewrite(made.Sandbox.ID, changed)
}

// rewrite changes what the record of a sandbox says: all of it at once, as others read it.
func (p *processes) rewrite(id string, changed map[string]any) error {
	path := filepath.Join(p.box(id), "record.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for key, value := range changed {
		next, err := json.Marshal(value)
		if err != nil {
			return err
		}
		field := regexp.MustCompile(`"` + key + `":("[^"]*"|\d+)`)
		if !field.Match(text) {
			return fmt.Errorf("the record has no %s: %s", key, text)
		}
		text = field.ReplaceAllLiteral(text, []byte(`"`+key+`":`+string(next)))
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (p *processes) missing() (string, []string, func()) {
	image := p.s.path("image")
	return image, []string{image, "is not there", "no such file or directory"}, func() {
		p.s.t.Helper()
		p.must(os.MkdirAll(filepath.Join(image, "etc"), 0o755))
	}
}

func (p *processes) differs() words {
	return words{
		version: "Linux ", id: "sandbox.id", total: "sandbox.sandbox_count",
		class: "internal", cause: "no such file or directory", badNetwork: "has a network of its own", noSource: "no such file or directory",
	}
}

// clean removes all that is in the directory, whosever it is, and what can't be read too.
func (p *processes) clean(...string) {
	if !p.open {
		if _, err := os.Stat(p.dir); err != nil {
			return
		}
	}
	own := p.look()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	names, err := os.ReadDir(filepath.Join(p.dir, "sandboxes"))
	for _, name := range names {
		s, err := own.Get(ctx, provider.Ref{Name: name.Name()})
		if err == nil {
			_, err = own.Delete(ctx, provider.DeleteRequest{ID: s.ID, Fence: provider.Fence{Owner: s.Owner, SessionID: s.SessionID, Adopted: true}})
		}
		if err != nil && !errors.Is(err, provider.NotFound) {
			p.s.t.Errorf("clean-up of %s: %v", name.Name(), err)
		}
	}
	if err = errors.Join(err, own.Close()); err != nil {
		p.s.t.Error(err)
	}
}

// cleanProcesses is clean on a state directory that is no place's.
func cleanProcesses(s *site, dir string) { processesAt(s, dir).clean() }

func (p *processes) wantAsAsked(v host.Session, env ...string) {
	t := p.s.t
	t.Helper()
	s, err := p.look().Get(t.Context(), provider.Ref{Name: "berth-" + p.s.owner[:12] + "-" + v.ID})
	p.must(err)
	hash := regexp.MustCompile(`^[0-9a-f]{64}$`)
	if s.ID != v.SandboxID || s.Owner != p.s.owner || s.SessionID != v.ID || s.ChatID != v.ChatID || s.AgentID != v.AgentID || s.Template != v.Template ||
		s.VolumeHostPath != v.VolumeHostPath || !s.ExpiresAt.Equal(v.ExpiresAt) || !hash.MatchString(s.RequestHash) {
		t.Errorf("recorded as %+v, the session is %+v", s, v)
	}
	if s.Endpoint == nil || v.Endpoint.IP != s.Endpoint.IP || v.Endpoint.Port != s.Endpoint.Port || s.Endpoint.IP != "127.0.0.1" {
		t.Errorf("endpoint %+v, recorded is %+v", v.Endpoint, s.Endpoint)
	}
	var seen []string
	p.must(json.Unmarshal([]byte(ask(t, v, "/env")), &seen))
	want := append(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PORT="+p.s.port)
	slices.Sort(want)
	if slices.Sort(seen); !slices.Equal(seen, want) {
		t.Errorf("the agent sees %q, want %q", seen, want)
	}
	pids := p.pids(v.SandboxID)
	p.wantMounts(pids[len(pids)-1], v.ChatID)
}

// wantMounts compares what a process sees of the place with the place.
func (p *processes) wantMounts(pid int, chatID string) {
	t := p.s.t
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	p.must(err)
	options := map[string]string{} // by target
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		options[f[4]] = f[5]
	}
	for _, w := range []struct {
		source, target string
		readOnly       bool
	}{
		{p.s.path("chats/" + chatID), p.s.targets["chat"], false},
		{p.s.path("dependencies"), p.s.targets["dependencies"], true},
		{p.s.path("lambda-tools"), p.s.targets["lambda-tools"], true},
		{p.s.path("volumes/mine"), p.s.targets["volume"], false},
	} {
		source, err := os.Stat(w.source)
		p.must(err)
		target, err := os.Stat(fmt.Sprintf("/proc/%d/root%s", pid, w.target))
		p.must(err)
		if readOnly := slices.Contains(strings.Split(options[w.target], ","), "ro"); !os.SameFile(source, target) || options[w.target] == "" || readOnly != w.readOnly {
			t.Errorf("%s is mounted with %q, the same file: %v, want %+v", w.target, options[w.target], os.SameFile(source, target), w)
		}
	}
	if info, err := os.Stat(p.s.path("chats/" + chatID)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the chat's directory: %v, %v", info, err)
	}
}
