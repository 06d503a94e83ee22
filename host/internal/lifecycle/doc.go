// Package lifecycle is Berth's engine: it makes sessions, keeps their deadlines, and
// ends them. It knows no gRPC, no HCL and no Prometheus, and asks the clock of package
// time alone, so that all of it runs under testing/synctest.
//
// # The story of a session
//
//	creating → running → stopping → stopped → deleting → ended(reason)
//
// A create reserves its place in the limits, waits for one of the provider's creating
// slots, prepares the image, fixes created-at and expires-at, writes the lease, and only
// then asks the provider. The endpoint is probed until the agent answers; a second write
// makes the session running, and then the caller hears of it. Whatever fails on the way
// goes through the one teardown and leaves a terminal record with the reason failed.
//
// A deadline that passes, a delete, a death that was noticed: each is a reason given to
// that same teardown. What can't be finished now, because the provider is away, stays as
// an intent in the lease and is tried again until it is done.
//
// # Who may touch what
//
// The index of sessions has a lock that is held for moments. Each session has an
// operation token, held by whoever acts on its sandbox, across RPCs; and a write lock,
// held by whoever changes its record, across the write to disk. An extension takes the
// write lock alone, so it never waits for a create. A delete writes its intent under the
// write lock, interrupts what holds the token, and then takes it.
//
// A record becomes visible together with the event that tells it to the watchers, under
// the hub's lock: whoever sees a session as ended knows that every watcher was told.
//
// Locks are taken in this order: token, write lock, the hub's, the index's, the session's
// own. The last three are held for moments, and never across a call to anybody else but
// Backend.Status.
//
// # Time
//
// Deadlines run on the engine's clock: the monotonic one, plus what the machine has slept.
// The wall clock decides once, when a lease of an earlier life is read. One goroutine owns
// the schedule of wake-ups, which only says who is to be looked at. Whoever acts reads the
// deadline again under the write lock, so an extension that is on its way to the disk is
// either honoured or refused, never lost.
//
// A write that has not been answered in ten seconds has failed, and may land all the same: a
// disk that hangs keeps no expiry waiting for longer. What is told and may not be on disk is
// written again until it is.
//
// # What is believed
//
// A list or an event only raises the question, and so does a NotFound of Get, or of the call
// that was to change the sandbox. Absence is believed when Get said NotFound once more, and
// the backend's identity, asked before and after that, is the one in the lease. An error
// changes nothing but the time of the next try.
package lifecycle
