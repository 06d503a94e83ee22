package dockertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// daemonPatience is how long a private daemon may take to answer, or to end.
const daemonPatience = time.Minute

// Daemon is a private Docker daemon: the dockerd that is first on the PATH, with a data root,
// an exec root, a socket, a containerd and cgroups of its own below one directory, and in a
// network namespace of its own. There a second daemon must be: it removes the bridge of the
// first. Its containers have no network but "none". One goroutine at a time may use it.
//
// The zero value with Dir is ready to be started. It can be started again after each end.
type Daemon struct {
	Dir  string   // exists, has a short path (the socket is in it), and is of this daemon alone
	Data string   // name of the data root in Dir: another one is another daemon; "" is "data"
	Args []string // more of dockerd's options

	// Machine gives it mount and process namespaces too. What ends it then ends all that it
	// started, as a crash of a machine does. Without it containers survive a Kill.
	Machine bool

	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
}

// ErrNotLinux is why there is no private daemon on other systems.
var ErrNotLinux = errors.New("a private Docker daemon wants Linux")

// NeedDaemon tells why no private daemon can be started here; nil when nothing is missing.
func NeedDaemon() error {
	if runtime.GOOS != "linux" {
		return ErrNotLinux
	}
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("a private Docker daemon wants root, not user %d", uid)
	}
	for _, tool := range []string{"dockerd", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("a private Docker daemon wants %s: %w", tool, err)
		}
	}
	return nil
}

// Socket is the path of its socket.
func (d *Daemon) Socket() string { return filepath.Join(d.Dir, "d.sock") }

// Config is the path of its configuration, which Start writes where there is none.
func (d *Daemon) Config() string { return filepath.Join(d.Dir, "daemon.json") }

// Connect makes a client of it, whether it runs or not.
func (d *Daemon) Connect() (*client.Client, error) {
	return client.NewClientWithOpts(client.WithHost("unix://"+d.Socket()), client.WithAPIVersionNegotiation())
}

// Cmd is its process, once it was started: dockerd itself, but with Machine.
func (d *Daemon) Cmd() *exec.Cmd { return d.cmd }

// Log is what it has said in all its lives.
func (d *Daemon) Log() string {
	text, _ := os.ReadFile(filepath.Join(d.Dir, "log"))
	return string(text)
}

// Start starts it, and returns when it answers. It has ended when there is an error, which
// then has the end of its log.
func (d *Daemon) Start(ctx context.Context) error {
	if d.running() {
		return errors.New("the private daemon runs")
	}
	if _, err := os.Stat(d.Config()); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(d.Config(), []byte("{}"), 0o600); err != nil {
			return err
		}
	}
	d.forget()
	log, err := os.OpenFile(filepath.Join(d.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	data := d.Data
	if data == "" {
		data = "data"
	}
	args := append([]string{"dockerd", "--config-file", d.Config(), "--host", "unix://" + d.Socket(),
		"--data-root", filepath.Join(d.Dir, data), "--exec-root", filepath.Join(d.Dir, "exec"), "--pidfile", filepath.Join(d.Dir, "pid"),
		"--cgroup-parent", "/" + d.group(), "--storage-driver=vfs",
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"}, d.Args...)
	unshare := []string{"--net"} // which then becomes dockerd
	if d.Machine {
		unshare = append(unshare, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
	}
	d.cmd = exec.Command("unshare", append(unshare, args...)...)
	d.cmd.Env = append(os.Environ(), "TMPDIR="+d.Dir) // where a containerd that hangs leaves its stacks
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		d.cmd = nil
		return err
	}
	d.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		defer close(exited)
		_ = cmd.Wait()
	}(d.cmd, d.exited)
	if err := d.answers(ctx); err != nil {
		d.Kill()
		lines := strings.Split(strings.TrimSpace(d.Log()), "\n")
		return fmt.Errorf("the private daemon does not answer: %w\n%s", err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
	return nil
}

// answers returns when it answers, or has ended.
func (d *Daemon) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonPatience)
	defer cancel()
	api, err := d.Connect()
	if err != nil {
		return err
	}
	defer api.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err = api.Ping(ctx); err == nil {
			return nil
		}
		select {
		case <-d.exited:
			return errors.New("it has ended")
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (d *Daemon) running() bool {
	if d.cmd == nil {
		return false
	}
	select {
	case <-d.exited:
		return false
	default:
		return true
	}
}

// Kill kills the daemon, and its containerd with it. Its containers go on, but with Machine.
func (d *Daemon) Kill() {
	if d.running() {
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
}

// KillContainerd kills the containerd under the daemon, which starts another one.
func (d *Daemon) KillContainerd() error { return d.signalContainerd(syscall.SIGKILL) }

func (d *Daemon) signalContainerd(sig syscall.Signal) error {
	config := filepath.Join(d.Dir, "exec", "containerd", "containerd.toml")
	for _, pid := range d.processes() {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(cmdline), "--config\x00"+config) {
			return syscall.Kill(pid, sig)
		}
	}
	return errors.New("the private daemon has no containerd")
}

// Stop ends the daemon politely. Its containers end too, but with --live-restore.
func (d *Daemon) Stop() {
	if !d.running() {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(daemonPatience):
		d.Kill()
	}
}

// End ends it and removes all that it has made but its directory, whatever state it is in.
func (d *Daemon) End() error {
	if !d.Machine {
		if d.running() {
			_ = d.cmd.Process.Signal(syscall.SIGCONT) // it may have been stopped
		}
		d.empty()
		d.Stop()
	}
	d.Kill()
	return errors.Join(d.killRest(), unmountBelow(d.Dir), RemoveGroups(d.group()))
}

// empty removes its containers, where it can: a daemon waits for those that it has to stop.
func (d *Daemon) empty() {
	if !d.running() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), daemonPatience)
	defer cancel()
	api, err := d.Connect()
	if err != nil {
		return
	}
	defer api.Close()
	found, _ := api.ContainerList(ctx, container.ListOptions{All: true})
	for _, c := range found {
		_ = api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	}
}

// group is the name of its cgroup.
func (d *Daemon) group() string {
	return "berth-" + strings.ReplaceAll(strings.Trim(d.Dir, "/"), "/", "-")
}
