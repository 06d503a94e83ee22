package api

// EventType says what an Event tells.
type EventType string

// The types of event.
const (
	EventSnapshot EventType = "snapshot" // a session that was there when the watch began
	EventSynced   EventType = "synced"   // the snapshot is complete
	EventChanged  EventType = "changed"  // a session began, changed, or ended
	EventPruned   EventType = "pruned"   // a terminal record was forgotten
	EventProgress EventType = "progress" // a provider makes an image present; no session
	EventResync   EventType = "resync"   // the watcher was too slow and has missed events: watch again
)

// Event is what a watcher is told. Seq grows by one with each event of the engine; a
// snapshot's events bear the number of the last event before it.
type Event struct {
	Seq      uint64
	Type     EventType
	Session  Session   // empty for synced, progress and resync
	Progress *Progress // of progress
}

// Progress tells how far a provider is with making an image present.
type Progress struct {
	Provider string
	Image    string // as the template names it
	Message  string // for people
}
