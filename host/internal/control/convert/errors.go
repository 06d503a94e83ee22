package convert

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/api"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// codes maps the host's codes to those of the protocol.
func codes(c api.Code) connect.Code {
	switch c {
	case api.CodeInvalidArgument:
		return connect.CodeInvalidArgument
	case api.CodeNotFound:
		return connect.CodeNotFound
	case api.CodeConflict:
		return connect.CodeFailedPrecondition
	case api.CodeResourceExhausted:
		return connect.CodeResourceExhausted
	case api.CodeUnavailable:
		return connect.CodeUnavailable
	case api.CodeUnsupported:
		return connect.CodeUnimplemented
	}
	return connect.CodeInternal // internal, and the sandbox_*_failed
}

// ErrorToConnect is the error as the API answers it: the whole text, and a detail with
// the host's code, the ids and, for a conflict about one, the session. An error that has
// none of the host's codes is internal; a context's own is canceled or deadline_exceeded,
// with the host's code unavailable. One of the protocol is left as it is. err is not nil.
func ErrorToConnect(err error) *connect.Error {
	e, code := &api.Error{Code: api.CodeInternal}, connect.CodeInternal
	var own *api.Error
	var wire *connect.Error
	switch {
	case errors.As(err, &own):
		e, code = own, codes(own.Code)
	case errors.As(err, &wire):
		return wire
	case errors.Is(err, context.Canceled):
		e, code = &api.Error{Code: api.CodeUnavailable}, connect.CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		e, code = &api.Error{Code: api.CodeUnavailable}, connect.CodeDeadlineExceeded
	}
	detail := &controlv1.Error{Code: string(e.Code), ChatId: text(e.ChatID), SessionId: text(e.SessionID)}
	if e.Session != nil {
		detail.Session = SessionToProto(*e.Session)
	}
	return withDetail(code, err.Error(), detail)
}

func withDetail(code connect.Code, message string, detail *controlv1.Error) *connect.Error {
	out := connect.NewError(code, errors.New(text(message)))
	if d, err := connect.NewErrorDetail(detail); err == nil { // else metadata that is not UTF-8: the words go without
		out.AddDetail(d)
	}
	return out
}

// ErrorFromConnect is the error that the API has answered, as an *api.Error with the
// text that it had in the host. An error that did not come from a host, such as a socket
// that nobody listens on, gets the nearest code and stays reachable by errors.Is and
// errors.As. Nil is nil.
func ErrorFromConnect(err error) error {
	var wire *connect.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wire):
		return &api.Error{Code: nearest(connect.CodeOf(err)), Err: err}
	}
	if detail := detailOf(wire); detail != nil {
		e := &api.Error{Code: api.Code(detail.GetCode()), ChatID: detail.GetChatId(), SessionID: detail.GetSessionId(), Message: wire.Message()}
		if s := detail.GetSession(); s != nil {
			session := SessionFromProto(s)
			e.Session = &session
		}
		return e
	}
	cause := wire.Unwrap()
	if cause == nil {
		cause = wire
	}
	return &api.Error{Code: nearest(wire.Code()), Err: cause}
}

func detailOf(err *connect.Error) *controlv1.Error {
	for _, d := range err.Details() {
		if m, err := d.Value(); err == nil {
			if detail, ok := m.(*controlv1.Error); ok {
				return detail
			}
		}
	}
	return nil
}

// nearest is the host's code for an error that does not tell one.
func nearest(c connect.Code) api.Code {
	switch c {
	case connect.CodeInvalidArgument:
		return api.CodeInvalidArgument
	case connect.CodeNotFound:
		return api.CodeNotFound
	case connect.CodeFailedPrecondition:
		return api.CodeConflict
	case connect.CodeResourceExhausted:
		return api.CodeResourceExhausted
	case connect.CodeUnavailable, connect.CodeCanceled, connect.CodeDeadlineExceeded:
		return api.CodeUnavailable
	case connect.CodeUnimplemented:
		return api.CodeUnsupported
	}
	return api.CodeInternal
}
