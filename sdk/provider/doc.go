// Package provider is the contract between Berth's host and whatever runs
// sandboxes for it.
//
// # Terms
//
// A sandbox is what a provider runs: a container, a process tree, a Pod. Its id
// names one incarnation and is never used again. A session is the host's object:
// one chat's hold on one sandbox. A provider knows no sessions beyond the id it is
// told to write on the sandbox.
//
// # Three stories
//
// A sandbox is made. The host evaluates a template into a complete [Spec] and asks
// [Provider.Prepare] to make the image present. It writes its own record to disk,
// calls [Provider.Create], and probes the endpoint until the agent answers. If any
// of it fails the host deletes what came to be. If Create itself fails, the
// provider has already removed what it made: a failed create leaves nothing.
//
// A sandbox ends. The host calls [Provider.Stop], which gives the sandbox its grace,
// then [Provider.Delete], which removes it by force. Either may be called in any
// state, any number of times, by a host that remembers nothing but the id. A
// missing sandbox is success with the outcome "not_found".
//
// A host comes back. It starts a new plugin process, which holds no state, and calls
// [Provider.List]. What the list tells of each sandbox was written on the sandbox
// when it was made. An error, or a list that was cut off, is never read as "there
// are none".
//
// # Rules for every method
//
//   - Methods may be called concurrently, from any number of goroutines.
//   - A method must return soon after its context is done. It must not leave a half
//     made sandbox behind when that happens.
//   - Errors belong to one of the [Class] values; see [Error]. Anything else counts
//     as [Internal].
//   - The host owns time. A provider never decides that a sandbox has lived long
//     enough.
package provider
