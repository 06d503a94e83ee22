// Package detached runs programs that outlive the plugin that started them: the sandboxes of
// a provider whose runtime is a process, such as a virtual machine monitor. It is half of a
// [records.Runtime]: embed [Processes] for Observe and End, and call [Start] in Start.
//
// Each program runs in a session of its own, so that neither the end of the plugin nor that
// of the host reaches it, under a shell that keeps its exit code. Plugin, shell and program
// share a lock on a file in the sandbox's directory. While any of the program's processes
// lives the lock is held; so whether a sandbox runs is asked of the kernel, and no pid that
// was used again is taken for it. A process that makes itself a session of its own inside
// the sandbox still holds the lock, and is not reached by the signals of End, which then
// fails when its context is done: contain such programs by other means.
//
// The files in the sandbox's directory are
//
//	lock   held while it runs
//	group  the number of its process group
//	log    what it printed; it is not bounded
//	exit   the code with which the program ended; not there when it was killed by force
//	port   of its listener, where it has one
//
// It needs a POSIX shell as /bin/sh.
package detached
