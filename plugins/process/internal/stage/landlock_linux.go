package stage

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The rights of Landlock's file system, by the version of its ABI that brought them; see
// landlock(7). Rights of later versions than the seventh are not used: nobody has seen
// here what they do.
const (
	landlockRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	landlockFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE // what can be said of a file
	landlockV1    = landlockRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM

	landlockVersion = 1 // the flag of landlock_create_ruleset(2) that asks for the version
)

// landlockRights are those that a version knows.
func landlockRights(abi int) (fs, file, scoped uint64) {
	fs, file = landlockV1, landlockFiles
	if abi >= 2 {
		fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		fs, file = fs|unix.LANDLOCK_ACCESS_FS_TRUNCATE, file|unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		fs, file = fs|unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, file|unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return fs, file, scoped
}

// LandlockABI asks the kernel for the version of its Landlock; 0 where it has none, or
// where it is off.
func LandlockABI() int {
	version, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, landlockVersion)
	if e != 0 {
		return 0
	}
	return int(version)
}

// restrictPaths adds Landlock to this thread, from which the command is made, as far as the
// kernel has it: reading everywhere, writing only where the sandbox may; no signals and no
// abstract sockets beyond it. It stands behind the mounts: a mount that is writable by
// mistake is not.
func restrictPaths(o *Order) error {
	if o.LandlockABI == 0 {
		return nil
	}
	fs, file, scoped := landlockRights(o.LandlockABI)
	// struct landlock_ruleset_attr: file system, network, scope. An older kernel takes what
	// it does not know as long as it is 0.
	attr := [3]uint64{fs, 0, scoped}
	ruleset, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if e != 0 {
		return fmt.Errorf("create_ruleset: %w", e)
	}
	defer unix.Close(int(ruleset))
	if err := allow(int(ruleset), "/", landlockRead, landlockRead); err != nil {
		return err
	}
	for _, path := range writable(o) {
		if err := allow(int(ruleset), path, fs, file); err != nil {
			return err
		}
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); e != 0 {
		return fmt.Errorf("restrict_self: %w", e)
	}
	return nil
}

// writable is where the command may write, as far as the kernel lets it.
func writable(o *Order) []string {
	if !o.on(Root) {
		return []string{"/"}
	}
	out := []string{"/tmp", "/dev", "/proc"}
	for _, m := range o.Mounts {
		if !m.ReadOnly {
			out = append(out, m.Target)
		}
	}
	return out
}

// allow adds a rule for what is at and below path.
func allow(ruleset int, path string, dir, file uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: file, Parent_fd: int32(fd)}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		rule.Allowed_access = dir
	}
	_, _, e := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if e != 0 {
		return fmt.Errorf("rule for %s: %w", path, e)
	}
	return nil
}
