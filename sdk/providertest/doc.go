// Package providertest tells the author of a provider whether it is right. It makes real
// calls of a real plugin, and says of each promise of the contract, by name, whether it was
// kept.
//
//	func TestConformance(t *testing.T) {
//		providertest.Run(t, func() provider.Plugin { return myprovider.Plugin() }, providertest.Options{
//			Spec: provider.Spec{Image: "agent:latest", Port: 8000},
//		})
//	}
//
// # What it proves
//
// [Run] puts a plugin in the test's own process to the checks, first called directly
// (bare), then over a real gRPC connection on a unix socket (wire), as a host calls it.
// [Binary] does the same with the binary that is shipped: it verifies and launches it as a
// host does, and goes on where only a process can be tried:
//
//   - identity of a create: the same again is adopted, sixteen at once make one, another
//     request of the same name is a conflict and touches nothing;
//   - fencing: a call that means another owner, session or incarnation touches nothing;
//   - absence: a missing sandbox is not_found, and a backend that is away is not absence;
//   - lists: each sandbox once, in every state, also while others come and go, and an error
//     when it was cut;
//   - labels and times: what is written comes back, byte by byte, to the microsecond;
//   - callers who leave: at any moment, with nothing half made behind them;
//   - generations: a new process finds what the one before has made, drained or killed
//     with SIGKILL in the middle of a create or a delete;
//   - the process: frozen and thawed, without its host, drained, two hundred times in a row
//     without a goroutine or a descriptor more;
//   - every optional ability that is claimed: logs, events.
//
// It does not prove that a sandbox isolates: that is for tests of the provider's own, which
// try to break out.
//
// # What it must be told
//
// The zero [Options] are enough for a provider that takes any image and needs no settings.
// Spec says what each Spec has that is the backend's matter: image, network, port, command,
// config. The hooks do what a provider has no verb for: make the backend go away, make a
// sandbox that nobody owns, look at the backend past the provider. What needs a hook that
// is nil is skipped; each skip is told by name with its reason, in -v where it is skipped
// and once more, all together, at the end of each way. Options.Impossible leaves out a
// check for a reason of the author's, which is printed too.
//
// # How to read a failure
//
// A failure names the promise, what the suite did, what came back, and what a right
// provider answers:
//
//	broken promise: a missing sandbox is not_found: as an error of Get, and as the outcome of Stop and Delete
//	    did:    asked Delete for an id of a sandbox that was deleted
//	    got:    the outcome "", delete 7f3a: no such process (class internal)
//	    right:  the outcome "not_found", no error
//
// One fault may break several promises. Mend the first that is told: the checks go from
// what a plugin says of itself, over single sandboxes, to crowds and crashes.
//
// Some faults can't be had in Go. sdk.Define derives the capabilities from the methods of a
// provider, so it can't claim what it lacks, and derives the schemas from struct tags, so
// they can't change. The SDK ends a list with "complete" if and only if List has returned
// nil. The suite looks all the same, for plugins that are made in another way. What it can't
// see: in this process, what a provider prints, since the test prints there too; and a panic
// in a goroutine of the provider's own, which ends any process.
//
// # What it counts
//
// After Options.Generations that were started, asked, and drained in a row, the process that
// has started them has as many goroutines and open descriptors as before them, or a few more:
// one for ten generations. With a binary that is the host's side of each, its pipes, its
// connection and what waits for it; what the plugin's process had is gone with it. In this
// process it is the provider's side too, and 50 generations are the most. After sixty rounds of
// calls, some of them canceled, the same holds for a generation that stays: in this process for
// goroutines and descriptors, with a binary for the descriptors of the plugin's process, where
// /proc shows them.
//
// It counts neither the goroutines of a binary, nor memory, threads or child processes, and
// sees no leak that is slower than one in ten. What is left at the backend is for
// Options.Residue to tell.
//
// # What it costs
//
// The suite calls Create about a hundred times in each way. With a provider that runs
// nothing it takes seconds in process, and as a binary as long as 200 starts of it, each a
// tenth of a second or so. Options.Generations and Options.Kills bound the long ones.
//
// [Benchmark] measures what the boundary costs: the hop of a call, and a list per thousand.
//
// # Who tests the suite
//
// Package mem, the provider in memory, has a switch for each promise that a provider can
// break ([github.com/berth-dev/berth/sdk/providertest/mem.Breach]). For every one of them a
// test called TestBroken… wants the suite to fail, with a message that names the promise;
// and no check is without a switch that fails it.
package providertest
