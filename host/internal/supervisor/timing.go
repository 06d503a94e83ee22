package supervisor

import "time"

// Restarts.
const (
	backoffFirst = 200 * time.Millisecond // doubled with each failure
	backoffMax   = 30 * time.Second
	backoffReset = 60 * time.Second // of READY, after which the failures are forgotten
	watchBinary  = 3 * time.Second  // between looks at the binary of a MISCONFIGURED plugin
)

// Liveness.
const (
	pingInterval = 750 * time.Millisecond // so that a hang is noticed within 4 s, wherever it falls
	pingTimeout  = time.Second
	pingMisses   = 3
)

// Health.
const (
	healthReady    = 2 * time.Second // between polls while READY
	healthDegraded = time.Second     // while not
	healthTimeout  = 5 * time.Second
)

// The calls of a start. Reconcile is the engine's own work over a list.
const (
	infoTimeout      = 5 * time.Second
	validateTimeout  = 10 * time.Second
	configureTimeout = 15 * time.Second
	reconcileTimeout = 90 * time.Second
	acceptTimeout    = 30 * time.Second // operations on the sessions that end are let go first
)

// Other bounds.
const (
	closeTimeout   = 15 * time.Second       // for the whole end of an instance
	nextGeneration = 10 * time.Second       // a retried call waits for, at most
	settleTime     = 200 * time.Millisecond // for the news of a death, after a call failed of it
	eventsFirst    = time.Second            // a reconcile waits for the event stream, at most
	eventsMax      = 10 * time.Second       // between tries to open it again
)
