// Package lease keeps the durable side of sessions: what was asked, what was promised,
// and how far each has come.
//
// # The file
//
// One bbolt file with two buckets: "berth" holds the header (format version, birth,
// owner), "leases" one record for each session, by session id. Header and records are
// JSON, each sealed with a version and a CRC-32C, since bbolt itself guards nothing but
// its meta pages. A file comes into being whole: it is made beside its place and linked
// into it, so that a crash leaves none or a good one.
//
// # Writes
//
// One goroutine commits. While it syncs, waiters gather; then it writes all of them in
// one transaction. Each waiter gets its own answer after the sync.
//
// # Damage
//
// bbolt trusts its file: on a damaged one it panics, faults, or recurses without end, in
// goroutines of its own too. So Open reads the file first, page by page and with every
// bound checked, and maps it only when all is well. Entries must fill their pages without
// a gap, as bbolt writes them: a changed count would hide records. A damaged file is moved aside, never
// repaired: one lost record in a store that is older than its sandbox would make an
// orphan of a living sandbox, while a new store with a new birth loses nothing but
// extensions.
//
// Where one of the two headers alone is damaged the other is gone by, as after a commit that
// was torn. It may have been a commit that somebody was told of, so it is said.
package lease
