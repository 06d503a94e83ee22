package suite

import (
	"fmt"
	"strings"

	"github.com/berth-dev/berth/sdk/provider"
)

// Promises that every check holds a provider to.
const (
	promisePanic   = "a provider never panics"
	promiseAnswers = "every verb answers in time, and returns soon after its context is done"
	promiseLives   = "a plugin's process lives until it is told to end"
	promiseDrain   = "a plugin that is drained finishes its calls and goes"
)

// failure is a broken promise, in four parts.
type failure struct{ promise, did, got, right string }

func (f failure) String() string {
	indent := func(s string) string { return strings.ReplaceAll(s, "\n", "\n            ") }
	return fmt.Sprintf("broken promise: %s\n    did:    %s\n    got:    %s\n    right:  %s",
		f.promise, indent(f.did), indent(f.got), indent(f.right))
}

// broken tells of a broken promise, and the check goes on.
func (e *env) broken(did, got, right string) {
	e.Helper()
	e.Errorf("%s", failure{e.check.promise, did, got, right})
}

// fatal tells of a broken promise, and the check ends.
func (e *env) fatal(did, got, right string) {
	e.Helper()
	e.Fatalf("%s", failure{e.check.promise, did, got, right})
}

// other tells of a broken promise that is not the check's own.
func (e *env) other(promise, did, got, right string) {
	e.Helper()
	e.Errorf("%s", failure{promise, did, got, right})
}

// ok ends the check unless err is nil.
func (e *env) ok(err error, did, right string) {
	e.Helper()
	if err != nil {
		e.fatal(did, errorText(err), right)
	}
}

// class reports whether err has the class, and tells when it has not.
func (e *env) class(err error, want provider.Class, did string) bool {
	e.Helper()
	if provider.ClassOf(err) == want {
		return true
	}
	e.broken(did, errorText(err), "an error of the class "+string(want))
	return false
}

// errorText is an error with its class.
func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return fmt.Sprintf("%v (class %s)", err, provider.ClassOf(err))
}

// sandboxText shows a sandbox.
func sandboxText(s provider.Sandbox) string {
	text := fmt.Sprintf("sandbox %q name=%q state=%s owner=%q session=%q", s.ID, s.Name, s.State, s.Owner, s.SessionID)
	if s.Endpoint != nil {
		text += fmt.Sprintf(" endpoint=%s:%d", s.Endpoint.IP, s.Endpoint.Port)
	}
	if s.Exit != nil {
		text += fmt.Sprintf(" exit=%+v", *s.Exit)
	}
	return text
}

// idsText shows the ids of sandboxes.
func idsText(list []provider.Sandbox) string {
	if len(list) == 0 {
		return "none"
	}
	var ids []string
	for _, s := range list {
		ids = append(ids, fmt.Sprintf("%q (%s)", s.ID, s.State))
	}
	return fmt.Sprintf("%d: %s", len(ids), strings.Join(ids, ", "))
}
