package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/berth-dev/berth/sdk/providertest/smalldisk"
)

// mountsEnv marks a process that has mounts of its own.
const mountsEnv = "BERTH_TEST_MOUNTS"

// canMount reports whether a process may have mounts of its own.
func canMount() bool {
	cmd := exec.Command("true")
	cmd.SysProcAttr = smalldisk.OwnMounts()
	return runtime.GOOS == "linux" && os.Geteuid() == 0 && cmd.Run() == nil
}

// on is a program that runs another one while the state directory of a host that went is on a
// disk that is full, or read-only:
//
//	exec on full state berth doctor
func on() {
	how, dir, args := os.Args[1], os.Args[2], os.Args[3:]
	err := mounted(how, dir, args)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "on:", err)
	os.Exit(125)
}

// mounted is on, in a process of its own.
func mounted(how, dir string, args []string) error {
	if os.Getenv(mountsEnv) == "" {
		self, err := exec.LookPath(os.Args[0])
		if err != nil {
			return err
		}
		cmd := exec.Command(self, os.Args[1:]...)
		cmd.Env = append(os.Environ(), mountsEnv+"=1")
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, smalldisk.OwnMounts()
		if err := cmd.Run(); err != nil {
			return err
		}
		os.Exit(0)
	}
	var err error
	switch how {
	case "readonly":
		err = smalldisk.ReadOnly(dir)
	case "full":
		err = onFull(dir)
	default:
		err = fmt.Errorf("no such disk: %q", how)
	}
	if err != nil {
		return err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, args, os.Environ())
}

// onFull moves what a host needs to find to a disk that is full then.
func onFull(dir string) error {
	kept := map[string][]byte{}
	for _, name := range []string{"lock", "owner", "leases.db"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			kept[name] = content
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := smalldisk.Mount(dir, "size=32m")
	for name, content := range kept {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return errors.Join(err, smalldisk.Fill(dir))
}
