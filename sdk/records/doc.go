// Package records makes a provider of something that runs sandboxes and can't label them:
// child processes, virtual machines, a remote shell. What a host must find again is kept in
// a directory, an entry for each sandbox, and the author writes the rest as a [Runtime]:
// start one, look at it, end it.
//
//	func open(_ context.Context, env sdk.Env, c Config) (provider.Provider, error) {
//		return records.Open(c.Dir, runtime{}, records.Options{})
//	}
//
// The provider of [Open] keeps the promises that are about identity: one name is one
// sandbox, also when sixteen calls ask at once; a create that failed leaves nothing; a taken
// name is adopted or a conflict; a fence is checked; an id names one incarnation; a list is
// complete, or an error. A [Runtime] keeps those about what runs.
//
// # What is on disk
//
//	<dir>/identity        which backend this is: made once, with the directory
//	<dir>/<name>/record   who the sandbox is, in JSON
//	<dir>/<name>/log      what it printed, where the runtime writes it there
//	<dir>/<name>/…        whatever the runtime needs to find it again
//	<dir>/.new-*, .old-*  entries that are being made or removed
//
// An entry comes to be, with its record, by one rename, before anything is started; it goes
// by another, after all that ran has ended. So a plugin that is killed at any moment leaves
// a sandbox that the next one lists: running, or not, and then the host removes it.
//
// The directory is on a local file system, belongs to the plugin's user, and has the mode
// 0700.
package records
