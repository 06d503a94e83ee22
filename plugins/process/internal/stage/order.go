// Package stage is what runs between the plugin and a sandbox's command. One binary is
// all three: the plugin, which starts a shim; the shim, which starts the sandbox's init in
// new namespaces; and the init, which makes the sandbox's root, gives up what it can and
// starts the command.
//
//	plugin ── order ──▶ shim ── order, trees ──▶ init ──▶ command
//	       ◀── result ──     ◀──── result ──────
//
// A shim is told for what kind of sandbox it is, makes an init in new namespaces, and waits
// for its order. Until then it is blank: it knows of no sandbox, has nothing of one, and
// ends, with its init, as soon as the other end of its socket is closed, which the kernel
// sees to when the plugin dies. So it can be started before there is anything for it to do.
// The order is one message with descriptors, and comes once.
//
// The shim is a session leader with an empty environment. With its order it outlives the
// plugin and its host, and is alive exactly as long as the sandbox runs: it holds the lock of
// the sandbox's directory, keeps the log, carries connections into the sandbox's network,
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

import (
	"slices"
	"strings"
	"syscall"
)

// The names under which the binary becomes one of the other two.
const (
	ShimName = "berth-process-shim"
	InitName = "berth-process-init"
)

// What the kernel calls the two.
const (
	ShimComm = "berth-shim"
	InitComm = "berth-init"
)

// The signals that a shim takes.
const (
	SignalTerm = syscall.SIGTERM // ask the command to end
	SignalKill = syscall.SIGUSR1 // kill all of the sandbox
)

// ShimSocket is the descriptor of a shim's stream socket, which it begins with beside stdin,
// stdout and stderr. It reads from it a [Blank] and an [Order], each sent by [Give], and
// writes to it a [Result] in JSON, up to the end, when the command runs or can't.
const ShimSocket = 3

// Nameless is the second argument of a shim or an init that has no order yet. The id of the
// sandbox takes its place.
var Nameless = strings.Repeat(" ", 216)

// The names of the files in a sandbox's directory.
const (
	FileRecord = "record.json" // what the sandbox is; written before anything else
	FileLock   = "lock"        // held as long as the shim lives
	FileRun    = "run.json"    // a Run
	FileExit   = "exit.json"   // an Exit
	FileLog    = "log"         // the newest piece of the log; older ones are log.1, log.2, …
)

// Blank is what must be known of a sandbox before its init can be made.
type Blank struct {
	Privileged bool     // the plugin is root
	UID, GID   int      // of the command, the same inside and outside
	Off        []string // tests: the mechanisms that are left out
}

// Same reports whether a shim of this kind can serve a sandbox of the other.
func (b Blank) Same(other Blank) bool {
	return b.Privileged == other.Privileged && b.UID == other.UID && b.GID == other.GID && slices.Equal(b.Off, other.Off)
}

// Order is all that shim and init need to know of a sandbox. With it come open files: the
// lock of the sandbox's directory, held; where to write what goes wrong with the shim; and,
// where there is a Port, a bound TCP socket that does not listen yet.
type Order struct {
	Blank
	ID  string
	Dir string // the sandbox's directory on the host

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
	LandlockABI int // 0: there is none
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
