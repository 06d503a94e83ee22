//go:build chaos && linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	berth "github.com/berth-dev/berth/host/client"
)

// The times of a lane's host. They are short, so that much happens.
const (
	chaosSweep     = time.Second
	chaosCreate    = 20 * time.Second // create_timeout
	chaosRetention = 40 * time.Second
	chaosBound     = 30 * time.Second // what is overdue goes within it, once all is well
	chaosCall      = 12 * time.Second // what a client waits for an answer
)

// lane is one host, its clients, its sandboxes' ground, and what is done to them.
type lane struct {
	t      *testing.T
	s      *site
	name   string
	ctx    context.Context
	stop   context.CancelCauseFunc
	bin    string
	rng    *rand.Rand // the schedule's
	plan   []trouble
	beside *lane // the first of every other one

	on     ground
	client *berth.Client
	model  *model
	tally  tally
	anchor *promise // see anchored

	mu     sync.Mutex
	host   *exec.Cmd
	exited chan struct{}
}

// newLane makes everything but the host, for the i-th lane.
func newLane(t *testing.T, ctx context.Context, stop context.CancelCauseFunc, bin string, i int) *lane {
	l := &lane{t: t, ctx: ctx, stop: stop, bin: bin}
	l.on = onGrounds[*chaosProvider](l, i)
	for _, dir := range []string{"crash", "state"} {
		if err := os.Mkdir(l.s.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mountSmall(t, l.s.path("state"), stateSize)
	l.model = newModel(l)
	l.clock(0)
	l.configure()
	l.client = berth.New(l.s.path("state/berth.sock"))
	t.Cleanup(func() {
		l.client.Close()
		l.killHost()
		l.keepLogs()
		var decoys []string
		for _, d := range l.model.decoy {
			if d.id != "" {
				decoys = append(decoys, d.id)
			}
		}
		l.on.clean(decoys, append(l.s.owners(), l.adopteeOwner())...)
	})
	return l
}

// chaosReady makes a session one that runs when its agent answers.
const chaosReady = "ready {\n  tcp = true\n  timeout = \"15s\"\n}\n"

// configure writes the lane's configuration.
func (l *lane) configure() {
	c := settings{
		top: map[string]string{"plugin_dir": quote(l.bin)},
		lifecycle: map[string]string{
			"sweep_interval": quote(chaosSweep.String()), "stop_grace": `"1s"`, "create_timeout": quote(chaosCreate.String()),
			"ended_retention": quote(chaosRetention.String()), "recovery_grace": `"5s"`,
		},
		provider: "adopt = [" + quote(l.adopteeOwner()) + "]\n",
		bare:     true, blocks: "resources {\n  memory = \"64MiB\"\n}\n",
	}
	l.on.settings(&c, fmt.Sprintf("BERTH_CRASH = %q, BERTH_CLOCK = %q", l.s.path("crash"), l.s.path("clock")))
	broken := map[string]string{"command": `["/agent", "-exit", "3"]`, "network": `"none"`, "port": ""}
	missing := map[string]string{"command": `["/not-there"]`, "network": `"none"`, "port": ""}
	stubborn := map[string]string{"command": `["/agent", "-ignore-sigterm"]`} // else every stop is a polite one
	maps.Copy(stubborn, c.template)
	c.more = l.s.variant("broken", broken, "") + l.s.variant("missing", missing, "") + l.s.variant("stubborn", stubborn, c.blocks)
	l.s.configure(c)
}

func (l *lane) adopteeOwner() string { return "adoptee-" + l.s.owner }

// startHost starts berth serve and waits until it answers.
func (l *lane) startHost() bool {
	for begun := time.Now(); l.ctx.Err() == nil; {
		if l.startOnce() {
			return true
		}
		if time.Since(begun) > patience {
			l.broke("the host does not start:\n%s", l.logTail(20))
			return false
		}
	}
	return false
}

func (l *lane) startOnce() bool {
	log, err := os.OpenFile(l.s.path("host.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.broke("its log: %v", err)
		return false
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(l.bin, "berth"), "serve", "--config", l.s.path("config.hcl"), "--log-level", "debug")
	cmd.Env = append(os.Environ(), "TMPDIR="+tempDir(), "BERTH_CRASH="+l.s.path("crash"), "BERTH_CLOCK="+l.s.path("clock"), "GOMAXPROCS=2")
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, l.s.dir
	if err := cmd.Start(); err != nil {
		l.broke("berth serve: %v", err)
		return false
	}
	exited := make(chan struct{})
	l.mu.Lock()
	l.host, l.exited = cmd, exited
	l.mu.Unlock()
	go func() {
		defer close(exited)
		err := cmd.Wait()
		var status *exec.ExitError
		if errors.As(err, &status) && status.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL || err == nil {
			return // a fault of ours, or the end
		}
		l.broke("the host ended by itself: %v\n%s", err, l.logTail(30))
	}()
	for l.ctx.Err() == nil {
		select {
		case <-exited: // killed at a point
			return false
		default:
		}
		ctx, cancel := context.WithTimeout(l.ctx, 2*time.Second)
		_, err := l.client.Providers(ctx)
		cancel()
		if err == nil {
			return true
		}
		l.pause(20 * time.Millisecond)
	}
	return false
}

// hostPID is 0 when no host runs.
func (l *lane) hostPID() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.host == nil {
		return 0
	}
	select {
	case <-l.exited:
		return 0
	default:
		return l.host.Process.Pid
	}
}

// killHost kills the host and sees that nothing of it is left a second later.
func (l *lane) killHost() {
	l.mu.Lock()
	cmd, exited := l.host, l.exited
	l.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-exited
	l.nothingRuns()
}

// nothingRuns checks that no plugin outlives its host by more than a moment.
func (l *lane) nothingRuns() {
	if !eventually(5*time.Second, func() bool { return leftProcesses(l.s.path("state")) == nil }) {
		l.broke("the host is dead, and %v", leftProcesses(l.s.path("state")))
	}
	if !eventually(5*time.Second, func() bool { return l.on.strays() == nil }) {
		l.broke("the host is dead, and %v", l.on.strays())
	}
}

// revive starts a host again where there is none.
func (l *lane) revive() bool {
	if l.hostPID() != 0 {
		return true
	}
	l.nothingRuns()
	return l.startHost()
}

// provider is the state of the provider; nil when the host does not say.
func (l *lane) provider() *berth.Provider {
	ctx, cancel := context.WithTimeout(l.ctx, 2*time.Second)
	defer cancel()
	list, err := l.client.Providers(ctx)
	if err != nil || len(list) != 1 {
		return nil
	}
	return &list[0]
}

// ready waits until the provider is READY: all faults are over.
func (l *lane) ready(within time.Duration) bool {
	for end := time.Now().Add(within); l.ctx.Err() == nil; l.pause(100 * time.Millisecond) {
		p := l.provider()
		if p != nil && p.State == "ready" {
			return true
		}
		if time.Now().After(end) {
			l.broke("no fault is given, and after %v the provider is not READY: %+v\n%s", within, p, l.logTail(30))
		}
	}
	return false
}

func (l *lane) logTail(n int) string {
	text, _ := os.ReadFile(l.s.path("host.log"))
	return tail(string(text), n)
}

func (l *lane) keepLogs() {
	if *chaosKeep == "" || l.ctx.Err() == nil && !l.t.Failed() {
		return
	}
	text, err := os.ReadFile(l.s.path("host.log"))
	if err == nil {
		err = os.WriteFile(filepath.Join(*chaosKeep, l.name+".log"), text, 0o644)
	}
	if err != nil {
		l.t.Log(err)
	}
}
