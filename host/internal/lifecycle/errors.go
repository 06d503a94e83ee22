package lifecycle

import (
	"github.com/berth-dev/berth/sdk/provider"
)

// codeFor maps the class of a provider's error to what a caller gets: the classes that
// tell a caller what to do keep their name, the others are the verb's own failure.
func codeFor(err error, failed Code) Code {
	switch provider.ClassOf(err) {
	case provider.Unavailable, provider.Canceled:
		return CodeUnavailable
	case provider.Conflict:
		return CodeConflict
	case provider.InvalidArgument:
		return CodeInvalidArgument
	case provider.Exhausted:
		return CodeResourceExhausted
	default:
		return failed
	}
}

func invalid(op, field, format string) *Error {
	return &Error{Code: CodeInvalidArgument, Op: op, Message: field + ": " + format}
}

func (e *Engine) fail(op string, s *session, code Code, message string, cause error) *Error {
	return &Error{Code: code, Op: op, SessionID: s.id, ChatID: s.record().ChatID, Message: message, Err: cause}
}
