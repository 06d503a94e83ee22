package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// inside is the first process of the room. Its arguments are the room's directory, that of
// the engine's programs, the log's path and the command.
func inside(args []string) (code int, err error) {
	dir, engines, logPath, command := args[0], args[1], args[2], args[3:]
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := furnish(); err != nil {
		return failed, err
	}
	if logPath == "" {
		logPath = filepath.Join(dir, "log")
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return failed, err
	}
	defer log.Close()
	args, err = engineArgs(dir, engines)
	if err != nil {
		return failed, err
	}
	if err := settle(engines); err != nil {
		return failed, err
	}
	family := newFamily()
	daemon, err := family.start(args, nil, log, log)
	if err != nil {
		return failed, err
	}
	ended := func(status syscall.WaitStatus) error {
		text, _ := os.ReadFile(logPath)
		return fmt.Errorf("the daemon has ended with code %d:\n%s", codeOf(status), lastLines(string(text), 30))
	}
	select {
	case err := <-answers():
		if err != nil {
			text, _ := os.ReadFile(logPath)
			return failed, fmt.Errorf("the daemon does not answer: %w\n%s", err, lastLines(string(text), 30))
		}
	case status := <-daemon.ended:
		return failed, ended(status)
	case s := <-signals:
		return 128 + int(s.(syscall.Signal)), nil
	}
	child, err := family.start(command, os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		return failed, err
	}
	for {
		select {
		case <-signals:
			_ = syscall.Kill(child.pid, syscall.SIGTERM)
		case status := <-daemon.ended:
			_ = syscall.Kill(child.pid, syscall.SIGTERM)
			return failed, ended(status)
		case status := <-child.ended:
			// A polite end: the daemon unmounts and says in its log what it could not do.
			_ = syscall.Kill(daemon.pid, syscall.SIGTERM)
			select {
			case <-daemon.ended:
			case <-time.After(patience):
				err = errors.New("the daemon does not end; it is killed")
			}
			return codeOf(status), err
		}
	}
}

// engineArgs writes the daemon's configuration and returns its command line. All paths that
// are not below dir are in the room's own /run.
func engineArgs(dir, engines string) ([]string, error) {
	config := map[string]any{
		"data-root":           filepath.Join(dir, "data"),
		"cgroup-parent":       "/" + filepath.Base(dir),
		"userland-proxy-path": filepath.Join(engines, "docker-proxy"),
	}
	if runsc := filepath.Join(engines, "runsc"); exists(runsc) {
		config["runtimes"] = map[string]any{"runsc": map[string]any{"path": runsc, "runtimeArgs": []string{"--platform=systrap"}}}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "daemon.json")
	return []string{filepath.Join(engines, "dockerd"), "--config-file", path}, os.WriteFile(path, text, 0o600)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// settle makes the environment that of the room: the engine's programs come first on the
// PATH, and nothing leads to another daemon.
func settle(engines string) error {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "DOCKER_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return os.Setenv("PATH", engines+":"+os.Getenv("PATH"))
}

// answers tells when the daemon answers, after it has told who that is.
func answers() <-chan error {
	told := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		told <- introduce(ctx, os.Stderr)
	}()
	return told
}

// introduce waits for the daemon and says what it is.
func introduce(ctx context.Context, out io.Writer) error {
	api, err := dockertest.Connect()
	if err != nil {
		return err
	}
	defer api.Close()
	for {
		_, err := api.Ping(ctx)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	version, err := api.ServerVersion(ctx)
	if err != nil {
		return err
	}
	info, err := api.Info(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "berth-engine: Docker %s, API %s to %s (spoken: %s), %s, cgroup v%s",
		version.Version, version.MinAPIVersion, version.APIVersion, api.ClientVersion(), info.Driver, info.CgroupVersion)
	for _, c := range version.Components {
		if c.Name == "containerd" || c.Name == "runc" {
			fmt.Fprintf(out, ", %s %s", c.Name, c.Version)
		}
	}
	if _, ok := info.Runtimes["runsc"]; ok {
		fmt.Fprint(out, ", runsc")
	}
	fmt.Fprintln(out)
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
