// Package launch runs one plugin process for a host: it verifies the binary, launches a
// private copy of it, shakes hands, and hands out a typed client.
//
// # The life of a process
//
// [Start] hashes the binary at Options.Path while it copies it into Options.CacheDir,
// compares the digest, and executes the copy: what was verified is what runs. The
// process gets a process group of its own, a complete environment that the caller chose,
// pipes that are read as long as it lives, and a lifeline: a pipe whose other end the
// host holds, so that the process ends when the host does, however the host ended. Then
// the two agree on a protocol version and on certificates for one connection.
//
// A [Process] ends by itself, by [Process.Kill], or by [Process.Close]. In each case
// [Process.Done] is closed soon after, [Process.Err] tells how it ended, its group is
// killed, and its sockets are removed. Whatever the process started and left in its own
// group goes with it; what is to outlive it (a sandbox) must have left that group.
//
// A process is never started again and never reattached. A new one is a new Process.
//
// # Rules
//
//   - Nothing here waits for a plugin without a deadline. A stopped process can be killed.
//   - Everything that a plugin prints is bounded: in line length, in lines per second,
//     in what is kept.
//   - Errors of a start are [Error], with a Reason that never changes its meaning.
package launch
