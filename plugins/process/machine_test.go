//go:build linux

package process

import (
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
		told := make(chan error)
		go func() {
			runtime.LockOSThread() // and never unlocked: the filter goes with the thread
			err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Policy: seccomp.Policy{DefaultAction: seccomp.ActionAllow,
				Syscalls: []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: []string{name}}}}})
			if err == nil {
				err = newMachine(defaultCgroup, &self{dir: t.TempDir()}).basics(t.Context())
			}
			told <- err
		}()
		switch err := <-told; {
		case want == "" && err != nil:
			t.Errorf("%s is refused, which no sandbox rests on: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "operation not permitted")):
			t.Errorf("%s is refused, and the provider says: %v", name, err)
		}
	}
}
