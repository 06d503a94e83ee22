// Package supervisor keeps one provider's plugin alive and tells the engine how it is.
//
// # The machine
//
//	verify → launch → info → schema → validate → configure → reconcile → READY ⇄ DEGRADED
//	start error → BACKOFF → again        refused configuration → MISCONFIGURED
//	dead or hung → at once again, the first time; then BACKOFF
//	shutdown → drain → STOPPED
//
// A generation is one life of the plugin. Each is launched, asked who it is and which
// settings it has, validated, configured, and reconciled with what the engine knows,
// before it is READY. One goroutine, that of [Supervisor.Run], walks the machine and alone
// changes the status.
//
// Liveness and health are two things. Liveness is whether the process answers at all:
// three pings without an answer, and it is killed. Health is how the backend behind it
// is: it moves READY ⇄ DEGRADED and never kills a plugin. A backend of another identity
// than the living leases' is DEGRADED too, and no verb reaches it, so that its empty lists
// and its not-founds end nothing.
//
// Other settings come as a [Successor]: a generation that was brought to READY beside the
// one that runs. It takes its place, and its status, in one step, so that no call is
// refused and none reaches a backend that was not compared; what is under way on the old
// one ends there, within bounds.
//
// # Calls
//
// A [Supervisor] is the provider that the engine calls. A call goes to the current
// generation and fails with provider.Unavailable when there is none, with what is wrong in
// its text; nothing here waits for a plugin to come back unless the caller asked to.
package supervisor
