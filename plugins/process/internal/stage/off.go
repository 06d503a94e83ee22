package stage

import "slices"

// The mechanisms, as Blank.Off names them. Only tests of this repository leave one out.
const (
	User     = "user"     // user namespace
	PID      = "pid"      // pid namespace
	IPC      = "ipc"      // ipc namespace
	UTS      = "uts"      // uts namespace
	Net      = "net"      // network namespace
	Cgroupns = "cgroupns" // cgroup namespace
	Root     = "root"     // fresh root
	ReadOnly = "readonly" // read-only mounts
	NoSuid   = "nosuid"   // nosuid and nodev mounts
	Masks    = "masks"    // hidden and read-only parts of /proc
	TmpSize  = "tmpsize"  // size caps of /tmp and /dev/shm
	Keyring  = "keyring"  // session keyring of its own
	Rlimits  = "rlimits"
	Landlock = "landlock"
	Caps     = "caps"
	NNP      = "no_new_privs"
	Seccomp  = "seccomp"
	Cgroups  = "cgroups"
	Hidden   = "hidden"  // the init is not to be looked into
	Owner    = "owner"   // the user namespace is another user's than root
	Nobody   = "nobody"  // and that is a user that nobody is
	Ucounts  = "ucounts" // limits of the user namespace
	Taken    = "taken"   // connections are taken out of the init, and not sent by it
)

func (b *Blank) on(mechanism string) bool { return !slices.Contains(b.Off, mechanism) }
