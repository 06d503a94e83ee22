//go:build linux

package process

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
)

// defaultPath is the PATH of a sandbox whose environment has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// plan is a Spec in this provider's words, and what is open for it.
type plan struct {
	spec     provider.Spec
	record   record
	order    stage.Order
	lock     *os.File // of the directory; nil once the shim holds it
	listener int      // the bound socket; -1 for none
}

func (p *plan) close() {
	if p.lock != nil {
		p.lock.Close()
		p.lock = nil
	}
	if p.listener >= 0 {
		unix.Close(p.listener)
		p.listener = -1
	}
}

// plan makes the order and the record of spec, or refuses what is unsafe or can't be had
// on this machine. It makes nothing but a socket.
func (p *Provider) plan(ctx context.Context, spec provider.Spec) (*plan, error) {
	own, err := decodeSandbox(spec.Config)
	if err != nil {
		return nil, err
	}
	if err := p.refuseUnsafe(spec, own); err != nil {
		return nil, err
	}
	uid, gid, err := p.userOf(own)
	if err != nil {
		return nil, err
	}
	if err := p.machine.demand(ctx, own.Isolation, spec.Resources); err != nil {
		return nil, err
	}
	img, err := p.image(spec.Image)
	if err != nil {
		return nil, err
	}
	if spec.Digest != "" && spec.Digest != img.digest {
		return nil, refusal(provider.NotFound, fmt.Sprintf("image %q is no longer what it was when it was prepared (%s, now %s)", spec.Image, spec.Digest, img.digest))
	}
	filter, err := p.filter()
	if err != nil {
		return nil, err
	}
	out := &plan{spec: spec, listener: -1}
	id := newID(spec.Name)
	out.record = record{
		ID: id, Name: spec.Name, Owner: spec.Owner, SessionID: spec.SessionID, ChatID: spec.ChatID,
		AgentID: spec.AgentID, Template: spec.Template, RequestHash: spec.RequestHash,
		MadeAt: time.Now().UTC(), ExpiresAt: spec.ExpiresAt, VolumeHostPath: spec.VolumeHostPath,
		Image: spec.Image, Digest: img.digest,
		LogFiles: int(p.config.Log.MaxFiles), Boot: bootID(),
	}
	out.order = stage.Order{
		Blank: stage.Blank{Privileged: os.Geteuid() == 0, UID: uid, GID: gid, Off: p.off},
		ID:    id, Dir: p.dir.box(spec.Name),
		Entries: img.entries, TmpBytes: int64(own.TmpSize),
		Command: spec.Command, Env: environment(spec.Env, spec.Port), WorkDir: own.WorkDir, Port: spec.Port,
		Pids: spec.Resources.Pids, Filter: filter, LandlockABI: p.machine.landlock,
		LogBytes: int64(p.config.Log.MaxSize), LogFiles: int(p.config.Log.MaxFiles),
	}
	for _, m := range spec.Mounts {
		out.order.Mounts = append(out.order.Mounts, stage.Mount{Name: m.Name, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly})
	}
	if !slices.Contains(p.off, stage.Cgroups) {
		out.order.CgroupDirs = p.machine.tree.Dirs(id)
		out.order.OOMFile = p.machine.tree.OOMFile(id)
		out.record.Cgroups = out.order.CgroupDirs
	}
	if !p.machine.tree.Has("memory") {
		out.order.DataBytes = spec.Resources.MemoryBytes
	}
	if spec.Port != 0 {
		if out.listener, out.record.EndpointPort, err = bindLoopback(); err != nil {
			return nil, fmt.Errorf("the endpoint: %w", err)
		}
	}
	return out, nil
}

// environment is that of a Spec. A PATH is added where it has none, as an image would, and
// where there is a port PORT, which many servers listen on unasked.
func environment(vars []provider.EnvVar, port int) []string {
	env := make([]string, 0, len(vars)+2)
	has := map[string]bool{}
	for _, v := range vars {
		has[v.Name] = true
		env = append(env, v.Name+"="+v.Value)
	}
	if !has["PATH"] {
		env = append(env, "PATH="+defaultPath)
	}
	if port != 0 && !has["PORT"] {
		env = append(env, "PORT="+strconv.Itoa(port))
	}
	return env
}

// refuseUnsafe judges what needs no look at the machine.
func (p *Provider) refuseUnsafe(spec provider.Spec, own SandboxConfig) error {
	invalid := func(format string, args ...any) error {
		return refusal(provider.InvalidArgument, fmt.Sprintf(format, args...))
	}
	if spec.Owner == "" || spec.SessionID == "" || spec.ChatID == "" {
		return invalid("the spec must have owner, session id and chat id")
	}
	if !sandboxName.MatchString(spec.Name) {
		return invalid("name is %q; it must be of letters, digits, '.', '_' and '-', at most 200, and begin with a letter or a digit", spec.Name)
	}
	if spec.ExpiresAt.IsZero() {
		return invalid("the spec must have a deadline")
	}
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		return invalid("command is empty; an image of the process provider names none, so write one in the template")
	}
	if spec.Port < 0 || spec.Port > 65535 {
		return invalid("port is %d; it must be from 0 to 65535", spec.Port)
	}
	if summary, remedy := p.config.checkImage(spec.Image); summary != "" {
		return invalid("%s; %s", summary, remedy)
	}
	if summary, remedy := checkNetwork(spec.Network); summary != "" {
		return invalid("%s; %s", summary, remedy)
	}
	targets := map[string]string{}
	for _, m := range spec.Mounts {
		if summary, remedy := p.config.checkMount(m, []string{p.dir.path}); summary != "" {
			return invalid("%s; %s", summary, remedy)
		}
		if m.Source == "" {
			return invalid("mount %s: its source is empty; write a path", m.Name)
		}
		if other, taken := targets[m.Target]; taken {
			return invalid("mounts %s and %s have one target, %s; choose another for one of them", other, m.Name, m.Target)
		}
		targets[m.Target] = m.Name
	}
	for _, text := range spec.Command {
		if strings.ContainsRune(text, 0) {
			return invalid("command: %q holds a NUL", text)
		}
	}
	for _, v := range spec.Env {
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.ContainsRune(v.Value, 0) {
			return invalid("env: %q can't be the name of a variable, or its value holds a NUL", v.Name)
		}
	}
	if !isCleanAbs(own.WorkDir) {
		return invalid("workdir is %q; write a clean absolute path", own.WorkDir)
	}
	if own.Isolation != isolationStandard && own.Isolation != isolationFull {
		return invalid("isolation is %q; write %s or %s", own.Isolation, isolationStandard, isolationFull)
	}
	if own.TmpSize < 64<<10 {
		return invalid("tmp_size is %d bytes; it must be at least 64 KiB", own.TmpSize)
	}
	for _, limit := range []struct {
		name  string
		value int64
		least int64
	}{
		{"memory", spec.Resources.MemoryBytes, leastMemory},
		{"cpus", spec.Resources.NanoCPUs, 1},
		{"pids", spec.Resources.Pids, leastPids},
	} {
		if limit.value < limit.least {
			return invalid("resources: %s is %d; it must be at least %d, of which the sandbox's init needs a part", limit.name, limit.value, limit.least)
		}
	}
	return nil
}

// What a sandbox needs for its init and a small command.
const (
	leastMemory = 16 << 20
	leastPids   = 16
)

// userOf is whom the sandbox's processes are on this machine.
func (p *Provider) userOf(own SandboxConfig) (uid, gid int, err error) {
	uid, gid, err = parseUser(own.User)
	if err != nil {
		return 0, 0, refusal(provider.InvalidArgument, err.Error()+`; write "uid:gid" in numbers from 1 on`)
	}
	me, mine := os.Geteuid(), os.Getegid()
	switch {
	case me == 0 && uid == 0:
		uid, gid, _ = parseUser(defaultUser)
	case me != 0 && uid == 0:
		return me, mine, nil
	case me != 0 && (uid != me || gid != mine):
		return 0, 0, refusal(provider.Unsupported, fmt.Sprintf("user is %q, and only root can make sandboxes of other users; leave it out, or run the host as root", own.User))
	}
	return uid, gid, nil
}

// decodeSandbox reads the values of the sandbox schema; none is the defaults.
func decodeSandbox(values []byte) (SandboxConfig, error) {
	own, err := sdk.Decode[SandboxConfig](values)
	if err != nil {
		return own, &provider.Error{Class: provider.InvalidArgument, Message: "the template's config can't be read", Err: err}
	}
	return own.withDefaults(), nil
}
