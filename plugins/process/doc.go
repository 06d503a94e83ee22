// Package process is Berth's provider for Linux without a daemon: a sandbox is a tree of
// processes in namespaces of its own, with a root made of read-only parts of this machine,
// or of an image, which is a directory. On other systems it builds, and refuses to open.
//
// # What runs
//
// Each sandbox has a shim, which is this program under another name: the parent of the
// sandbox's first process, alive exactly as long as the sandbox runs. It is a session
// leader without environment, so it outlives the plugin and its host, their process groups
// and lifelines. See package stage for how the three stages follow each other.
//
// Most of what a create would wait for is the start of programs and the making of namespaces.
// So a host that is root has one shim ready for the next create, with its init, which has left
// the host's file systems: a blank. It is started when the one before it is taken, or after a
// create that found none; a provider that makes nothing has none. It bears no name and holds
// nothing of a sandbox. It ends with this process, with Close, and when nobody has wanted it
// for five minutes. A create takes one that is of its user, or else starts a shim, and gives it
// the sandbox's lock, endpoint and order over a socket: from then on there is no difference.
// One that turns out to be dead is replaced. Where the host is not root, the init opens the
// host's trees itself, which must be as they are at the create: there no shim is ready.
//
// # What it keeps
//
// A state directory, mode 0700. Under sandboxes each sandbox has a directory by its name:
//
//	record.json  what it is: written and synced first, never changed; no secrets
//	lock         held by the shim: it is how everybody knows that the sandbox runs
//	run.json     the pids of shim and init; without it no shim has begun
//	exit.json    how the command ended
//	log, log.1 … what it printed, capped
//	shim.log     what went wrong with the shim itself
//
// A sandbox comes to be when its complete directory gets its name, by a rename that the
// file system grants to one caller alone; that is what a create rests on. Whether it runs
// is told by the lock, never by a pid: the kernel drops a lock with the process that holds
// it, and a pid may be another's by then. Processes are signalled by pidfd, taken while the
// lock is held. A plugin that is killed at any moment leaves one such directory or none;
// one without a name is swept by the next list.
//
// A reboot ends all sandboxes. Their records stay, and are listed as exited with a code
// that nobody knows, until the host deletes them. The identity of the backend is of this
// machine and this directory, and the same after the reboot; a directory that was made anew
// in the same place is another backend, whose empty list ends nothing.
//
// # The endpoint
//
// A sandbox's network has its loopback interface and nothing else: nothing outside can be
// reached, the host neither. The endpoint is a port of 127.0.0.1 of this machine that the
// kernel picks and the provider holds from before the sandbox's start. The shim listens on
// it as soon as the command listens on the template's port, which it finds in PORT, on any
// address of its own network, and carries each connection. So the port is never raced for,
// and a connection is refused until the agent is there. The same holds with and without
// root, and needs no bridge, address or firewall rule that could be left behind. Both of a
// template's kinds of endpoint, "network" and "published", are this one.
//
// # Images
//
// An image is nothing or the clean absolute path of a directory that holds a root. Without
// one the root is what the provider's block names of this machine. Either way what is at
// the top is mounted read-only, beside the sandbox's own /proc, /dev and /tmp. Prepare
// checks that it is there; the digest is over the inodes at the top, so that a create finds
// out that the image was replaced, but not that something deep in it has changed.
//
// # Levels
//
// A template may demand a level in its config, and is refused as Unsupported, with what
// lacks, where this machine can't give it:
//
//   - "standard", the default: user, mount, pid, ipc, uts and network namespaces, a fresh
//     root, no capabilities, no_new_privs, the seccomp filter. Landlock is added where the
//     kernel has it, limits on the sandbox as a whole where cgroups can be had; without
//     them only the private memory of each process is limited, by RLIMIT_DATA, and pids by
//     RLIMIT_NPROC, and Health says so.
//   - "full": all of that, Landlock, and cgroups for memory, CPU and pids.
//
// There is no level below: a machine that can't give "standard" runs no sandboxes.
//
// Each mechanism has a test that fails without it; see escapes_test.go. The README tells
// what each stops, and what none does.
package process
