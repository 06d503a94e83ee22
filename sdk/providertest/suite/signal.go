package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// afterHost is how long a plugin may live after its host.
const afterHost = time.Second

var signalChecks = []check{
	{name: "a plugin that is frozen goes on", on: only(binary),
		promise: "a plugin that is stopped and continued goes on where it was, and one that is killed while it is stopped is gone; its sandboxes stay", run: checkFreeze},
	{name: "a plugin ends with its host", on: only(binary),
		promise: "a plugin whose host was killed is gone within a second, also when it is stopped; its sandboxes stay", run: checkHost,
		needs: func(o Options, _ []provider.Capability) string {
			if o.Host == nil {
				return "Options.Host is nil: there is no program that can be a host and be killed"
			}
			return ""
		}},
	{name: "standard output is the handshake's", on: only(binary),
		promise: "nothing but the handshake comes on a plugin's standard output; its log is standard error", run: checkStdout},
	{name: "no call has panicked", on: only(binary),
		promise: promisePanic, run: checkPanics},
}

func checkFreeze(e *env) {
	h := e.fresh()
	spec := e.spec()
	id := h.made(spec).Sandbox.ID
	pid := h.g.process.PID()
	freeze := func() {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			e.Fatalf("SIGSTOP to the plugin, process %d: %v", pid, err)
		}
	}
	freeze()
	// The signal takes effect a moment after it was sent.
	silent := e.eventually(func() bool {
		ctx, cancel := context.WithTimeout(e.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := h.g.plugin.Provider().Get(ctx, provider.Ref{ID: id})
		return err != nil
	})
	if !silent {
		e.broken("sent SIGSTOP to the plugin, and asked Get", "an answer, for "+took(e.opts.Timeout), "none: what answers is another process than the one that was started")
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		e.fatal("sent SIGCONT to the plugin", err.Error(), "it is there")
	}
	if s := h.seen(id, "after SIGSTOP and SIGCONT"); s.State != provider.StateRunning {
		e.broken("sent SIGSTOP and SIGCONT to the plugin, and asked Get", sandboxText(s), "it runs")
	}
	select {
	case <-h.g.process.Done():
		e.fatal("sent SIGSTOP and SIGCONT to the plugin", "after SIGSTOP and SIGCONT it ended: "+h.g.process.Err().Error(), "it serves on")
	case <-time.After(exitNotice): // an end that follows from the signal comes at once
	}

	freeze()
	e.killed(h, 0)
	next := e.fresh()
	if s := next.seen(id, "after the plugin was stopped and killed"); s.State != provider.StateRunning {
		e.broken("killed a plugin that was stopped, and asked the next one Get", sandboxText(s), "it runs")
	}
	next.deleted(spec, id)
}

func checkHost(e *env) {
	for _, frozen := range []bool{false, true} {
		spec := e.spec()
		order, err := e.hostOrder(spec)
		if err != nil {
			e.Fatalf("%v", err)
		}
		host := e.opts.Host()
		if host.Env == nil {
			host.Env = os.Environ()
		}
		host.Env = append(host.Env, hostEnv+"="+string(order))
		plugin := e.spawn(host)
		did := "killed the host"
		if frozen {
			did = "sent SIGSTOP to the plugin, and killed the host"
			if err := syscall.Kill(plugin, syscall.SIGSTOP); err != nil {
				e.Fatalf("SIGSTOP to the plugin, process %d: %v", plugin, err)
			}
		}
		begun := time.Now()
		if err := host.Process.Kill(); err != nil {
			e.Fatalf("kill the host: %v", err)
		}
		_ = host.Wait() // it was killed
		for alive(plugin) && time.Since(begun) < afterHost {
			select {
			case <-time.After(time.Millisecond):
			case <-e.Context().Done():
			}
		}
		if alive(plugin) {
			e.broken(did, fmt.Sprintf("the plugin, process %d, lives after %s", plugin, afterHost),
				"it is gone: it ends when the lifeline, the descriptor that BERTH_LIFELINE_FD names, is at its end")
			_ = syscall.Kill(plugin, syscall.SIGKILL)
		} else {
			e.Logf("%s: the plugin was gone after %s", did, time.Since(begun).Round(100*time.Microsecond))
		}
		all, _ := e.host().sandboxes()
		found := mine(all, spec)
		if len(found) != 1 || found[0].State != provider.StateRunning {
			e.broken(did+", and asked another generation for the sandbox that its plugin had made", idsText(found), "it runs on")
		}
	}
}

// spawn starts a host and returns the pid of its plugin.
func (e *env) spawn(host *exec.Cmd) (plugin int) {
	e.Helper()
	out, err := host.StdoutPipe()
	if err != nil {
		e.Fatalf("the host's output: %v", err)
	}
	var errs strings.Builder
	host.Stderr = &errs
	if err := host.Start(); err != nil {
		e.Fatalf("start the host: %v", err)
	}
	e.Cleanup(func() {
		if host.ProcessState == nil {
			_ = host.Process.Kill()
			_ = host.Wait()
		}
	})
	type answer struct {
		pid int
		err error
	}
	told := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(out).ReadString('\n')
		pid, bad := strconv.Atoi(strings.TrimSpace(line))
		told <- answer{pid, errors.Join(err, bad)}
	}()
	select {
	case a := <-told:
		if a.err != nil {
			_ = host.Process.Kill()
			_ = host.Wait()
			e.Fatalf("the host did not tell of its plugin (does its program call ActAsHost first thing?): %v; it said: %s", a.err, &errs)
		}
		return a.pid
	case <-time.After(e.opts.Timeout):
		e.Fatalf("the host did not tell of its plugin within %s (does its program call ActAsHost first thing?)", e.opts.Timeout)
		return 0
	}
}

// alive reports whether a process runs. One that has ended, and that nobody has waited
// for, does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !hasProc()
	}
	_, rest, ok := strings.Cut(string(stat), ") ")
	return !ok || rest == "" || rest[0] != 'Z' && rest[0] != 'X'
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

func checkStdout(e *env) {
	h := e.fresh()
	spec := e.spec()
	h.deleted(spec, h.made(spec).Sandbox.ID)
	e.closed(h.g)
	if printed := e.s.place.log.printed(); len(printed) > 0 {
		e.broken("read the standard output of all plugins of this run", fmt.Sprintf("%q", printed),
			"the handshake alone, which the SDK prints; what is to be read belongs to the log")
	}
}

func checkPanics(e *env) {
	if panics := e.s.place.log.panicked(); len(panics) > 0 {
		e.broken("read the log of all plugins of this run", strings.Join(panics, "\n"), "no panic: an error is an answer")
	}
}

// hostOrder is what a host process is told to do.
func (e *env) hostOrder(spec provider.Spec) ([]byte, error) {
	o, err := e.s.launchOptions(e.opts)
	if err != nil {
		return nil, err
	}
	o.Logger = nil
	return json.Marshal(hostOrder{Launch: o, Config: e.opts.Config, Owner: e.owner, Spec: spec, Timeout: e.opts.Timeout})
}
