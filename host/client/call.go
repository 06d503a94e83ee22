package client

import (
	"context"
	"fmt"
	"unicode/utf8"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// call makes one call that is answered once.
func call[Req, Res any](ctx context.Context, c *Client, op string, send func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error), m *Req) (*Res, error) {
	if err := sendable(op, any(m)); err != nil {
		return nil, err
	}
	res, err := send(ctx, connect.NewRequest(m))
	if err != nil {
		return nil, c.failed(ctx, op, err)
	}
	return res.Msg, nil
}

// session makes one call that is answered with a session.
func session[Req, Res any, P interface {
	*Res
	GetSession() *controlv1.Session
}](ctx context.Context, c *Client, op string, send func(context.Context, *connect.Request[Req]) (*connect.Response[Res], error), m *Req) (Session, error) {
	res, err := call(ctx, c, op, send, m)
	if err != nil {
		return Session{}, err
	}
	s := P(res).GetSession()
	if s == nil {
		return Session{}, &Error{Code: CodeInternal, Op: op, Message: c.link.where + " answered without a session"}
	}
	return convert.SessionFromProto(s), nil
}

// sendable refuses text that the wire does not carry.
func sendable(op string, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	var bad string
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				if !utf8.ValidString(k.String()) || !utf8.ValidString(v.String()) {
					bad = fmt.Sprintf("%s: %.200q = %.200q", f.Name(), k.String(), v.String())
				}
				return bad == ""
			})
		case f.Kind() == protoreflect.StringKind && !utf8.ValidString(v.String()):
			bad = fmt.Sprintf("%s: %.200q", f.Name(), v.String())
		}
		return bad == ""
	})
	if bad != "" {
		return &Error{Code: CodeInvalidArgument, Op: op, Message: bad + " is not UTF-8, and the API carries no other text"}
	}
	return nil
}
