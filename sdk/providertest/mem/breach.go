package mem

import "slices"

// Breach is a promise of the contract that a plugin on a backend breaks from now on. A
// right conformance suite finds each of them; see [Backend.Break].
type Breach string

// The breaches of a plugin.
const (
	InfoEmpty            Breach = "info_empty"             // Info has no version
	SchemasChange        Breach = "schemas_change"         // each call of Schemas answers otherwise
	SchemasInsane        Breach = "schemas_insane"         // a default that its own bound refuses
	ValidateRefuses      Breach = "validate_refuses"       // Validate refuses what Configure takes
	ConfigureFails       Breach = "configure_fails"        // Configure refuses every setting
	ConfigureWantsDaemon Breach = "configure_wants_daemon" // Configure fails while the backend is away
	Ungated              Breach = "ungated"                // verbs work before Configure
	ClaimsTooMuch        Breach = "claims_too_much"        // abilities that the provider lacks
	ClaimsTooLittle      Breach = "claims_too_little"      // none of those that it has
	DrainHurries         Breach = "drain_hurries"          // Drain returns while calls are in flight, and refuses none
	DrainHangs           Breach = "drain_hangs"            // Drain returns only when its context is done
)

// The breaches of Prepare and Create.
const (
	PrepareTellsNothing Breach = "prepare_tells_nothing" // no digest
	PrepareMakes        Breach = "prepare_makes"         // Prepare makes a sandbox
	CreatesTwice        Breach = "creates_twice"         // the same Create makes another sandbox
	CreatesRace         Breach = "creates_race"          // so do creates at once
	SaysCreated         Breach = "says_created"          // the outcome of one that is adopted
	AnswersNothing      Breach = "answers_nothing"       // an empty sandbox
	AnswersNoID         Breach = "answers_no_id"         // a sandbox without an id
	AnswersAnother      Breach = "answers_another"       // a sandbox of a session that was never asked for
	AnswersTooSoon      Breach = "answers_too_soon"      // before the sandbox runs
	AnswersNoEndpoint   Breach = "answers_no_endpoint"   // although the Spec has a port
	AdoptsEnded         Breach = "adopts_ended"          // a sandbox that does not run
	AdoptsOtherRequests Breach = "adopts_other_requests" // whatever the request hash
	AdoptsOtherOwners   Breach = "adopts_other_owners"   // whatever owner and session
	ConflictDestroys    Breach = "conflict_destroys"     // what has the name is removed
	ReusesIDs           Breach = "reuses_ids"            // an id is made of the name
	FailureLeaves       Breach = "failure_leaves"        // a failed create leaves its sandbox
	CancelLeaves        Breach = "cancel_leaves"         // so does one whose context is done
	CancelJams          Breach = "cancel_jams"           // after it the name is taken for ever
	MadeInHalves        Breach = "made_in_halves"        // a sandbox bears its labels some time after it was made
)

// The breaches of the verbs that look.
const (
	MissingIsEmpty    Breach = "missing_is_empty"    // Get answers an empty sandbox
	MissingIsError    Breach = "missing_is_error"    // Stop and Delete fail with NotFound
	NamesUnknown      Breach = "names_unknown"       // Get by name finds nothing
	PartsAreIDs       Breach = "parts_are_ids"       // the beginning of an id will do
	DeletedStays      Breach = "deleted_stays"       // Get answers one that was deleted, as exited
	ListsShort        Breach = "lists_short"         // the last one is left out
	ListsTwice        Breach = "lists_twice"         // the first one comes again
	ListsRunning      Breach = "lists_running"       // those that have ended are left out
	ListsBare         Breach = "lists_bare"          // without the agent's id
	ListsInvented     Breach = "lists_invented"      // one that was never made
	ListsLate         Breach = "lists_late"          // the one that was deleted last is still there
	CutIsComplete     Breach = "cut_is_complete"     // a list whose caller has left ends without an error
	ReaderIgnored     Breach = "reader_ignored"      // the list goes on after the reader's error
	IdentityEmpty     Breach = "identity_empty"      //
	IdentityChanges   Breach = "identity_changes"    // with each call
	IdentityOfProcess Breach = "identity_of_process" // with each generation
	IdentityInvented  Breach = "identity_invented"   // another one in the answer to Create
	HealthWrong       Breach = "health_wrong"        // not available, although it is
	LimitsUnnamed     Breach = "limits_unnamed"      // a limitation without a reason
	LabelsTrimmed     Breach = "labels_trimmed"      // no blanks at the ends
	LabelsCut         Breach = "labels_cut"          // 255 bytes at most
	LabelsPlain       Breach = "labels_plain"        // ASCII alone
	TimesRounded      Breach = "times_rounded"       // to milliseconds
	Forgets           Breach = "forgets"             // a generation sees only what it has made
)

// The breaches of Stop and Delete.
const (
	FenceWithoutOwner   Breach = "fence_without_owner"   // any owner may
	FenceWithoutSession Breach = "fence_without_session" // any session may
	AdoptedOpensAll     Breach = "adopted_opens_all"     // any owner who says adopted may
	UnownedOpen         Breach = "unowned_open"          // what has no owner is anybody's
	StopRemoves         Breach = "stop_removes"          //
	StopDoesNothing     Breach = "stop_does_nothing"     //
	StopOnce            Breach = "stop_once"             // a second Stop fails
	StopKeepsEndpoint   Breach = "stop_keeps_endpoint"   //
	StopForgetsExit     Breach = "stop_forgets_exit"     // Get does not tell how it ended
	StopNeverForces     Breach = "stop_never_forces"     // what is stubborn runs on
	StopIsRude          Breach = "stop_is_rude"          // there is no grace
	DeleteWantsStopped  Breach = "delete_wants_stopped"  // what runs is refused
	DeleteDoesNothing   Breach = "delete_does_nothing"   //
	DeleteAlwaysDeleted Breach = "delete_always_deleted" // also when there was none
	DeletesCollide      Breach = "deletes_collide"       // of two at once one fails
	RemovedInHalves     Breach = "removed_in_halves"     // a sandbox loses its labels some time before it is gone
)

// The breaches of every verb.
const (
	Panics           Breach = "panics"             // Get panics
	Blocks           Breach = "blocks"             // Identity never returns
	Deaf             Breach = "deaf"               // no verb hears that its caller has left
	CanceledIsAbsent Breach = "canceled_is_absent" // Get says NotFound when its context is done
	AwayIsAbsent     Breach = "away_is_absent"     // Get, Stop and Delete find nothing while the backend is away
	AwayIsEmpty      Breach = "away_is_empty"      // List is empty then, and complete
	AwayIsHealthy    Breach = "away_is_healthy"    // Health says that it is available
	AwayRemembered   Breach = "away_remembered"    // Identity answers from memory
	LeaksGoroutines  Breach = "leaks_goroutines"   // each List leaves one
	LeaksDescriptors Breach = "leaks_descriptors"  // each Health leaves one
	LeaksAtDrain     Breach = "leaks_at_drain"     // each generation leaves a goroutine
)

// The breaches of logs and events.
const (
	LogsOfNothing    Breach = "logs_of_nothing"     // a missing sandbox has an empty log
	LogsNeverEnd     Breach = "logs_never_end"      // following goes on when the sandbox has ended
	LogsEndEarly     Breach = "logs_end_early"      // following ends at once
	LogsWithoutTail  Breach = "logs_without_tail"   // all lines, whatever was asked
	LogsBackwards    Breach = "logs_backwards"      // the last line first
	LogsDeafToReader Breach = "logs_deaf_to_reader" // they go on after the reader's error
	EventsNotReady   Breach = "events_not_ready"    //
	EventsReadyTwice Breach = "events_ready_twice"  //
	EventsSilent     Breach = "events_silent"       // nothing is told
	EventsEndWell    Breach = "events_end_well"     // nil at the end
	EventsGoOn       Breach = "events_go_on"        // also when the backend has gone away
)

// The breaches of the mock binary's process. See [BreachEnv].
const (
	PrintsFirst  Breach = "prints_first"  // on standard output, before the handshake
	Prints       Breach = "prints"        // on standard output, with each Create
	Dies         Breach = "dies"          // the process ends in Get
	IgnoresTerm  Breach = "ignores_term"  // it does not end at SIGTERM
	OutlivesHost Breach = "outlives_host" // it hears of nothing when its host is gone
	DiesOfFrost  Breach = "dies_of_frost" // it ends when it is continued after a stop
)

// Breaches lists all of them.
func Breaches() []Breach {
	return slices.Concat([]Breach{
		InfoEmpty, SchemasChange, SchemasInsane, ValidateRefuses, ConfigureFails, ConfigureWantsDaemon, Ungated, ClaimsTooMuch, ClaimsTooLittle, DrainHurries, DrainHangs,
		PrepareTellsNothing, PrepareMakes, CreatesTwice, CreatesRace, SaysCreated, AnswersNothing, AnswersNoID, AnswersAnother, AnswersTooSoon,
		AnswersNoEndpoint, AdoptsEnded, AdoptsOtherRequests, AdoptsOtherOwners, ConflictDestroys, ReusesIDs, FailureLeaves, CancelLeaves, CancelJams, MadeInHalves,
		MissingIsEmpty, MissingIsError, NamesUnknown, PartsAreIDs, DeletedStays, ListsShort, ListsTwice, ListsRunning, ListsBare, ListsInvented, ListsLate,
		CutIsComplete, ReaderIgnored, IdentityEmpty, IdentityChanges, IdentityOfProcess, IdentityInvented, HealthWrong, LimitsUnnamed,
		LabelsTrimmed, LabelsCut, LabelsPlain, TimesRounded, Forgets,
		FenceWithoutOwner, FenceWithoutSession, AdoptedOpensAll, UnownedOpen, StopRemoves, StopDoesNothing, StopOnce, StopKeepsEndpoint, StopForgetsExit,
		StopNeverForces, StopIsRude, DeleteWantsStopped, DeleteDoesNothing, DeleteAlwaysDeleted, DeletesCollide, RemovedInHalves,
		Panics, Blocks, Deaf, CanceledIsAbsent, AwayIsAbsent, AwayIsEmpty, AwayIsHealthy, AwayRemembered, LeaksGoroutines, LeaksDescriptors, LeaksAtDrain,
		LogsOfNothing, LogsNeverEnd, LogsEndEarly, LogsWithoutTail, LogsBackwards, LogsDeafToReader, EventsNotReady, EventsReadyTwice, EventsSilent, EventsEndWell, EventsGoOn,
	}, processBreaches)
}

// processBreaches are those that only the mock binary can have.
var processBreaches = []Breach{PrintsFirst, Prints, Dies, IgnoresTerm, OutlivesHost, DiesOfFrost}

// BreachEnv is a variable of the mock binary's environment: the breach that it has.
const BreachEnv = "BERTH_MOCK_BREACH"

// Break makes every plugin on b that is made from now on break one promise. What
// [Backend.Provider] returns keeps its word.
func (b *Backend) Break(breach Breach) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.breach = breach
}

// Heal lets go of all calls that a breach holds up, and of what it has left behind.
func (b *Backend) Heal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.breach = ""
	close(b.healed)
	b.healed = make(chan struct{})
	for _, f := range b.leaked {
		_ = f.Close() // it was opened to be left open
	}
	b.leaked = nil
}
