package api

import "strings"

// Code is the stable code of an error that a caller sees. Each code is itself an error,
// so that errors.Is(err, CodeNotFound) works.
type Code string

// The codes.
const (
	CodeSandboxStartFailed Code = "sandbox_start_failed"
	CodeSandboxStopFailed  Code = "sandbox_stop_failed"
	CodeSandboxListFailed  Code = "sandbox_list_failed"
	CodeNotFound           Code = "not_found"
	CodeConflict           Code = "conflict"
	CodeResourceExhausted  Code = "resource_exhausted"
	CodeUnavailable        Code = "unavailable"
	CodeInvalidArgument    Code = "invalid_argument"
	CodeUnsupported        Code = "unsupported"
	CodeInternal           Code = "internal"
)

// Error makes a code usable as a target of errors.Is.
func (c Code) Error() string { return strings.ReplaceAll(string(c), "_", " ") }

// Error is a failure of one verb of the engine. Its text is
// "<op>: <message>: <cause>", with empty parts left out.
type Error struct {
	Code      Code
	Op        string // the verb: "create", "extend", …
	ChatID    string
	SessionID string
	Message   string   // what is wrong, and the remedy where there is one
	Session   *Session // the session as it is, for a conflict about one
	Err       error    // the cause; may be nil
}

// Error tells operation, message and cause.
func (e *Error) Error() string {
	var parts []string
	for _, p := range []string{e.Op, e.Message} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		return e.Code.Error()
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}
