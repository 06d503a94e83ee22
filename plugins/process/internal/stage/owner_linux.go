package stage

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A user namespace belongs to whoever makes it, and what is used in it is charged to him as
// well: inotify instances, signals that wait, locked memory, message queues. Were it root's,
// a sandbox could use up what root's daemons may have of these. See user_namespaces(7), and
// inc_ucount in kernel/ucount.c. And whoever is the owner outside has all capabilities in it,
// so were it the sandbox's user, every process of the machine that runs as that user could
// look into the sandbox. So where the host is root, a user makes it that nobody is.

// owned reports whether the namespace is to belong to another user than this process's.
func (b *Blank) owned() bool { return b.Privileged && b.on(User) && b.on(Owner) }

// owner is the user that nobody is, one for each of the sandboxes' users: in a range that
// systemd's table of users leaves unused ("Users, Groups, UIDs and GIDs on systemd Systems").
func (b *Blank) owner() int {
	if !b.on(Nobody) {
		return b.UID
	}
	const first, most = 0x70000000, 0x0fffffff
	return first + b.UID&most
}

// OwnerMapped reports whether there is such a user in this process's own user namespace; see
// uid_map in user_namespaces(7).
func OwnerMapped(uid int) bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return err != nil || mapped(string(text), (&Blank{UID: uid}).owner())
}

func mapped(uidMap string, uid int) bool {
	for line := range strings.Lines(uidMap) {
		var inside, outside, count int
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 && uid >= inside && uid-inside < count {
			return true
		}
	}
	return false
}

// asOwner calls f with the namespace's owner as the effective user of this thread, which must
// be locked. The thread keeps its capabilities, by which f gives the namespace its users. In a
// container whose users are few there may be no such user, and it stays root's.
func (s *shim) asOwner(f func() error) error {
	if !s.blank.owned() {
		return f()
	}
	if err := become(s.blank.owner()); errors.Is(err, unix.EINVAL) {
		return f()
	} else if err != nil {
		return err
	}
	err := raiseCapabilities()
	if err == nil {
		err = f()
	}
	if back := become(0); back != nil { // capabilities come back with it; see capabilities(7)
		return back
	}
	return err
}

// become sets the effective user of this thread alone. The real and the saved one stay, so
// that it can go back, and nobody else may signal it.
func become(uid int) error {
	const keep = ^uintptr(0)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); e != 0 {
		return os.NewSyscallError("setresuid", e)
	}
	return nil
}

// raiseCapabilities makes what this thread may have effective again.
func raiseCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	return os.NewSyscallError("capset", unix.Capset(&header, &data[0]))
}
