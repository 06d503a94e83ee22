// Package suite holds the checks by which any provider is known to keep the contract of
// package provider. It knows no *testing.T: a test uses package providertest, a program
// [NewReport].
//
// A [Subject] is a plugin and the way in which it is reached: [Bare], [Wire] or [Binary].
// [Check] makes every check that fits it. Each check is one promise, has a file with its
// theme, and is written once for the three ways. [Options] tell what the suite can't know.
//
// # Failures
//
// A failure has four parts:
//
//	broken promise: one session, one sandbox: the same Create again answers with the same sandbox, as adopted
//	    did:    created the same again while it runs
//	    got:    the sandbox "b", where the first answer was "a"
//	    right:  the same sandbox
//
// Four promises are held at every call, whatever the check: no verb panics, every verb
// answers in time and returns soon after its context is done, a process lives until it is
// told to end, and a plugin that is drained goes.
//
// # Rules of the checks
//
//   - Each run has an owner of its own. What others have at the same backend is neither
//     touched nor minded.
//   - No check waits without a bound.
//   - What a check has made goes with it, also when it fails.
package suite
