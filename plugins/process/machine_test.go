//go:build linux

package process

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
)

// Where a filter of the machine's own, a container's for one, refuses what every sandbox rests
// on, the provider says so before anybody creates one.
func TestMachineTellsWhatAFilterRefuses(t *testing.T) {
	needNamespaces(t)
	for name, want := range map[string]string{"sethostname": "hostname: ", "open_tree": "open_tree", "unshare": ""} {
		switch err := refusing(name, func() error { return newMachine(defaultCgroup, &self{dir: t.TempDir()}).basics(t.Context()) }); {
		case want == "" && err != nil:
			t.Errorf("%s is refused, which no sandbox rests on: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "operation not permitted")):
			t.Errorf("%s is refused, and the provider says: %v", name, err)
		}
	}
}

// Where no connection can be taken out of a sandbox, that is told, and what it means.
func TestMachineTellsWhatCantBeTaken(t *testing.T) {
	tells := func() error {
		for _, l := range newMachine(defaultCgroup, &self{dir: t.TempDir()}).limitations() {
			if l.Name == "endpoints" {
				return errors.New(l.Reason)
			}
		}
		return nil
	}
	if err := tells(); err != nil {
		t.Skipf("nothing can be taken here anyway: %v", err)
	}
	for _, name := range []string{"pidfd_open", "pidfd_getfd"} {
		if err := refusing(name, tells); err == nil || !strings.Contains(err.Error(), name+": operation not permitted") || !strings.Contains(err.Error(), "allow pidfd_getfd") {
			t.Errorf("%s is refused, and the provider says: %v", name, err)
		}
	}
}

// refusing calls f where a filter refuses one system call.
func refusing(call string, f func() error) error {
	told := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the filter goes with the thread
		err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Policy: seccomp.Policy{DefaultAction: seccomp.ActionAllow,
			Syscalls: []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: []string{call}}}}})
		if err == nil {
			err = f()
		}
		told <- err
	}()
	return <-told
}
