package launch_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
)

// hostModeEnv holds launch.Options in JSON, for a test binary that is to be a host.
const hostModeEnv = "BERTH_LAUNCH_TEST_HOST"

// beHost starts a plugin, prints its pid, and lives until it is killed.
func beHost() int {
	var o launch.Options
	if err := json.Unmarshal([]byte(os.Getenv(hostModeEnv)), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p, err := launch.Start(context.Background(), o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(p.PID())
	<-p.Done()
	return 1
}

// spawnHost runs a host process with one plugin and returns both pids.
func spawnHost(t *testing.T, o launch.Options, env ...string) (host *exec.Cmd, plugin int) {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host = exec.Command(self)
	host.Env = append(append(os.Environ(), hostModeEnv+"="+string(data)), env...)
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = host.Process.Kill()
		_ = host.Wait()
		if plugin > 0 && alive(plugin) {
			_ = syscall.Kill(-plugin, syscall.SIGKILL)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	plugin, err = strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return host, plugin
}

func TestKilledHostTakesItsPluginAlong(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped=%t", stopped), func(t *testing.T) {
			o := place(t)
			o.Logger = nil
			host, plugin := spawnHost(t, o)
			if !alive(plugin) {
				t.Fatal("the plugin does not live")
			}
			if stopped {
				if err := syscall.Kill(plugin, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			if err := host.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			took := within(t, time.Second, "the plugin is gone", func() bool { return !alive(plugin) })
			t.Logf("the plugin was gone %s after its host", took)
			left, err := os.ReadDir(o.RunDir)
			if err != nil || len(left) != 1 {
				t.Errorf("a killed host leaves its socket directory: %v, %v", left, err)
			}
			run, err := launch.PrepareRunDir(filepath.Dir(o.RunDir))
			if err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(run); err != nil || len(left) != 0 {
				t.Errorf("the next host sweeps it: %v, %v", left, err)
			}
		})
	}
}

func TestHostsEnvironmentDoesNotLeak(t *testing.T) {
	const secret = "do-not-tell-anybody"
	t.Setenv("BERTH_TEST_SECRET", secret)
	t.Setenv("DOCKER_TEST_SETTING", "passed")
	o := place(t)
	o.Env = launch.Environment(os.Environ(), map[string]string{"FROM_BLOCK": "yes", "DOCKER_TEST_SETTING": "the block wins"})
	p := start(t, o)
	env, err := os.ReadFile("/proc/" + itoa(p.PID()) + "/environ")
	if err != nil {
		t.Skip("this system shows no environment of a process:", err)
	}
	if strings.Contains(string(env), secret) || strings.Contains(string(env), "BERTH_TEST_SECRET") {
		t.Error("the host's secret is in the plugin's environment")
	}
	for _, want := range []string{"FROM_BLOCK=yes", "DOCKER_TEST_SETTING=the block wins", "PATH="} {
		if !strings.Contains("\x00"+string(env), "\x00"+want) {
			t.Errorf("%s is missing", want)
		}
	}
	if stdin, err := os.Readlink("/proc/" + itoa(p.PID()) + "/fd/0"); err == nil && stdin != os.DevNull {
		t.Errorf("the plugin's stdin is %s", stdin)
	}
}

func TestPluginsInheritNothingOfEachOther(t *testing.T) {
	// What this process itself was born with is not ours to close.
	inherited, err := pipesOf(os.Getpid())
	if err != nil {
		t.Skip("this system shows no descriptors of a process:", err)
	}
	o := place(t)
	first, second := start(t, o), start(t, o)
	mine, err := pipesOf(first.PID())
	if err != nil {
		t.Fatal(err)
	}
	others, err := pipesOf(second.PID())
	if err != nil {
		t.Fatal(err)
	}
	if len(mine) < 3 { // stdout, stderr, lifeline
		t.Errorf("the pipes of a plugin: %v", mine)
	}
	for pipe, fd := range others {
		if held, both := mine[pipe]; both && inherited[pipe] == "" {
			t.Errorf("%s is descriptor %s of one plugin and %s of another", pipe, held, fd)
		}
	}
	shut(t, first)
	if err := second.Ping(t.Context()); err != nil {
		t.Errorf("the end of one plugin ended another: %v", err)
	}
}

// pipesOf are the pipes that a process has open, each with one of its descriptors.
func pipesOf(pid int) (map[string]string, error) {
	dir := "/proc/" + itoa(pid) + "/fd"
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	pipes := map[string]string{}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(to, "pipe:") {
			pipes[to] = fd.Name()
		}
	}
	return pipes, nil
}
