// Package stage is what runs between the plugin and a sandbox's command. One binary is
// all three: the plugin, which starts a shim; the shim, which starts the sandbox's init in
// new namespaces; and the init, which makes the sandbox's root, gives up what it can and
// starts the command.
//
//	plugin ── order ──▶ shim ── order, trees ──▶ init ──▶ command
//	       ◀── result ──     ◀──── result ──────
//
// The shim is a session leader with an empty environment. It outlives the plugin and its
// host, and is alive exactly as long as the sandbox runs: it holds the lock of the
// sandbox's directory, keeps the log, carries connections into the sandbox's network,
// records how the command ended, and takes two orders by signal: [SignalTerm] and
// [SignalKill]. Should it die, the kernel kills the init, and with it the sandbox.
//
// The init is process 1 of the sandbox: it reaps, and sends the command SIGTERM when the shim
// asks for it.
//
// A binary that imports this package becomes a shim or an init when it is started under
// one of their names. This is decided in the package's own init, so that neither pays for
// the start of the packages that only the plugin needs; it happens nowhere else than
// under those names.
package stage

import "syscall"

// The names under which the binary becomes one of the other two.
const (
	ShimName = "berth-process-shim"
	InitName = "berth-process-init"
)

// The signals that a shim takes.
const (
	SignalTerm = syscall.SIGTERM // ask the command to end
	SignalKill = syscall.SIGUSR1 // kill all of the sandbox
)

// The descriptors that a shim begins with, beside stdin, stdout and stderr.
const (
	ShimOrder    = 3 + iota // read: the order, up to the end of file
	ShimResult              // write: a [Result], when the command runs or can't
	ShimLock                // the directory's lock, held by this open file
	ShimListener            // a bound TCP socket that does not listen yet; only with Order.Port
)

// The names of the files in a sandbox's directory.
const (
	FileRecord = "record.json" // what the sandbox is; written before anything else
	FileLock   = "lock"        // held as long as the shim lives
	FileRun    = "run.json"    // a Run
	FileExit   = "exit.json"   // an Exit
	FileLog    = "log"         // the newest piece of the log; older ones are log.1, log.2, …
)

// Order is all that shim and init need to know of a sandbox.
type Order struct {
	ID         string
	Dir        string // the sandbox's directory on the host
	Privileged bool   // the plugin is root
	UID, GID   int    // of the command, the same inside and outside

	Entries  []Entry // of the root
	Mounts   []Mount // of the template
	TmpBytes int64   // the size of each of /tmp and /dev/shm

	Command []string
	Env     []string
	WorkDir string
	Port    int // of the command's service; 0 for none

	Pids        int64 // for the rlimit
	DataBytes   int64 // RLIMIT_DATA of each process; 0 where a cgroup limits memory
	CgroupDirs  []string
	OOMFile     string // of the cgroup: where kills for memory are counted; "" for none
	Filter      []byte // the seccomp filter, as struct sock_filter[]
	LogBytes    int64  // of one file
	LogFiles    int
	Off         []string // tests: the mechanisms that are left out
	LandlockABI int      // 0: there is none
}

// Entry is something at the top of the sandbox's root.
type Entry struct {
	Source string // on the host: a directory or a file; "" for a symlink
	Target string // absolute, in the sandbox
	Link   string // what the symlink holds
}

// Mount is a host directory or file in the sandbox.
type Mount struct {
	Name     string
	Source   string
	Target   string
	ReadOnly bool
}

// Result is what a start came to. No Error: the command runs.
type Result struct {
	Error string
	Pid   int // of the init, on the host
}

// Run is written when the shim has begun, and again when the command runs.
type Run struct {
	Shim int // pid
	Init int // pid; 0 before there is one
	Up   bool
}

// Exit is how the command ended.
type Exit struct {
	Code      int
	OOMKilled bool
	At        int64 // Unix time in nanoseconds
}
