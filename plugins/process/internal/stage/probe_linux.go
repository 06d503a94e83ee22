package stage

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ProbeName is the name under which the binary tries what every sandbox rests on.
const ProbeName = "berth-process-probe"

// ProbeGood is what a probe that could do it all writes.
const ProbeGood = "good"

// StartProbe starts a probe in the namespaces of a sandbox of that user, from
// this binary or a copy of it. It writes ProbeGood to w, or why not, and ends; the caller
// reaps it.
func StartProbe(exe string, uid, gid int, w *os.File) (pid int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	b := Blank{UID: uid, GID: gid, Privileged: os.Geteuid() == 0}
	return syscall.ForkExec(exe, []string{ProbeName}, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), w.Fd()}, Sys: b.namespaces()})
}

func runProbe() int {
	w := os.NewFile(3, "answer")
	err := unix.Sethostname([]byte("berth"))
	if err != nil {
		err = fmt.Errorf("hostname: %w", err)
	} else {
		err = tryMounts()
	}
	if err != nil {
		_, _ = w.WriteString(err.Error())
		return 1
	}
	_, _ = w.WriteString(ProbeGood)
	return 0
}

// tryMounts does a little of what makeRoot does.
func tryMounts() error {
	do := &doing{}
	do.mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	do.mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
	do.mount("proc", "/tmp", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if do.err != nil {
		return do.err
	}
	fd, err := cloneTree("/tmp", unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return fmt.Errorf("open_tree and mount_setattr: %w", err)
	}
	return unix.Close(fd)
}
