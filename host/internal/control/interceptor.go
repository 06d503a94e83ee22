package control

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

// interceptor stands around every verb: it refuses requests that could not be read, and
// turns errors into the API's.
type interceptor struct{ s *Server }

var _ connect.Interceptor = interceptor{}

// WrapUnary is for the verbs that answer once.
func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		op := verb(req.Spec().Procedure)
		if err := noted(req.Any()); err != nil {
			return nil, i.s.failed(ctx, op, req.Peer(), refused(op, "", "", err))
		}
		resp, err := next(ctx, req)
		if err != nil {
			return nil, i.s.failed(ctx, op, req.Peer(), err)
		}
		return resp, nil
	}
}

// WrapStreamingHandler is for those that answer with a stream.
func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		op := verb(conn.Spec().Procedure)
		if err := next(ctx, checked{conn, op}); err != nil {
			return i.s.failed(ctx, op, conn.Peer(), err)
		}
		return nil
	}
}

// WrapStreamingClient is for clients; the host is none.
func (i interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// checked is a stream whose request is refused when it could not be read.
type checked struct {
	connect.StreamingHandlerConn
	op string
}

// Receive reads the request.
func (c checked) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	if err := noted(message); err != nil {
		return refused(c.op, "", "", err)
	}
	return nil
}

// failed is the API's error for err. Those that are the host's own fault are logged; what
// follows from a caller's leaving is not.
func (s *Server) failed(ctx context.Context, op string, peer connect.Peer, err error) error {
	wire := convert.ErrorToConnect(err)
	if wire.Code() == connect.CodeInternal && ctx.Err() == nil {
		s.log.Error("a call failed", "verb", op, "err", err)
	} else {
		s.log.Debug("a call was refused", "verb", op, "code", wire.Code().String(), "err", err)
	}
	if peer.Protocol != connect.ProtocolConnect {
		wire = convert.FitTrailers(wire)
	}
	return wire
}

// recovered answers for a verb that has panicked.
func (s *Server) recovered(_ context.Context, spec connect.Spec, _ http.Header, value any) error {
	op := verb(spec.Procedure)
	s.log.Error("a call panicked; the host goes on", "verb", op, "panic", fmt.Sprint(value), "stack", string(debug.Stack()))
	return convert.ErrorToConnect(&api.Error{Code: api.CodeInternal, Op: op, Message: "the host has a fault, and its log tells more"})
}

// verb is the host's word for a procedure: create for CreateSession.
func verb(procedure string) string {
	name := procedure[strings.LastIndexByte(procedure, '/')+1:]
	name = strings.TrimPrefix(name, "Get")
	switch name {
	case "Session":
		return "get"
	case "Logs":
		return "logs"
	case "ListProviders":
		return "providers"
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(name, "Sessions"), "Session"))
}
