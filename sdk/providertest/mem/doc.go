// Package mem is a provider that runs nothing: its sandboxes are records in memory. It
// keeps the contract of package provider to the letter, until a test tells it not to.
//
// A [Backend] stands for a daemon: it holds the sandboxes and outlives the providers that
// speak to it. [Backend.Provider] is one provider on it, [Plugin] a whole plugin with
// settings, for the mock binary. With [Open] a backend keeps its sandboxes in a file, so
// that the next process finds them.
//
// A test changes the world behind the host's back with [Backend.Put], [Backend.Exit],
// [Backend.Vanish] and their like, and makes verbs slow, failing or lying with
// [Backend.Fail].
//
// Time is package time's, so a backend made inside a testing/synctest bubble lives in
// virtual time.
package mem
