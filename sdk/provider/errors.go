package provider

import (
	"context"
	"errors"
	"strings"
)

// Class says what kind of failure an error is. Each class is itself an error, so
// errors.Is(err, provider.NotFound) works on both sides of the process boundary.
type Class string

// The classes. A provider picks the narrowest that is true.
const (
	NotFound        Class = "not_found"        // the backend answered: there is no such thing
	Conflict        Class = "conflict"         // it exists and is not what the call means
	Unavailable     Class = "unavailable"      // the backend can't be asked; the outcome may be unknown
	InvalidArgument Class = "invalid_argument" // the request can never work
	Unsupported     Class = "unsupported"      // this backend can't do or enforce it
	Exhausted       Class = "exhausted"        // a limit or a resource is used up
	Canceled        Class = "canceled"         // the caller left or its deadline passed
	Internal        Class = "internal"         // anything else
)

// Classes lists every class, in the order above.
func Classes() []Class {
	return []Class{NotFound, Conflict, Unavailable, InvalidArgument, Unsupported, Exhausted, Canceled, Internal}
}

// Error makes a class usable as a target of errors.Is.
func (c Class) Error() string { return strings.ReplaceAll(string(c), "_", " ") }

// CodeBadAnswer is the Code of an Error about an answer that can't be true, and was not
// believed. A host counts them, by provider.
const CodeBadAnswer = "bad_answer"

// IsBadAnswer reports whether err says that an answer was not believed.
func IsBadAnswer(err error) bool {
	for {
		var e *Error
		if !errors.As(err, &e) {
			return false
		}
		if e.Code == CodeBadAnswer {
			return true
		}
		err = e.Err
	}
}

// Error is a failure of one operation. Its text is "<op>: <message>: <cause>", with
// empty parts left out.
type Error struct {
	Class   Class
	Op      string // the verb that failed: "create", "list", …
	ID      string // the sandbox, session or image that it failed for; may be ""
	Code    string // stable code, such as "sandbox_start_failed"; may be ""
	Message string // for people: what went wrong, and the remedy where there is one
	LogTail string // the sandbox's last lines of output; may be ""
	Err     error  // the cause; may be nil
}

// Error returns "<op>: <message>: <cause>".
func (e *Error) Error() string {
	var parts []string
	if e.Op != "" {
		op := e.Op
		if e.ID != "" {
			op += " " + e.ID
		}
		parts = append(parts, op)
	}
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	if len(parts) == 0 {
		return e.Class.Error()
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's class.
func (e *Error) Is(target error) bool {
	c, ok := target.(Class)
	return ok && c == e.Class
}

// ClassOf tells the class of err: that of the first Error or Class in its chain,
// Canceled for a context's errors, Internal for all else, and "" for nil.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) && e.Class != "" {
		return e.Class
	}
	var c Class
	if errors.As(err, &c) {
		return c
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Canceled
	}
	return Internal
}

// LogTailOf returns the log tail of the first Error in err's chain that has one.
func LogTailOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.LogTail != "" {
			return e.LogTail
		}
		err = e.Err
	}
	return ""
}
