package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

var codeOf = map[provider.Class]codes.Code{
	provider.NotFound:        codes.NotFound,
	provider.Conflict:        codes.FailedPrecondition,
	provider.Unavailable:     codes.Unavailable,
	provider.InvalidArgument: codes.InvalidArgument,
	provider.Unsupported:     codes.Unimplemented,
	provider.Exhausted:       codes.ResourceExhausted,
	provider.Canceled:        codes.Canceled,
	provider.Internal:        codes.Internal,
}

// toStatus makes the status of a failed call; nil stays nil.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	d := detailOf(err)
	w := describer{left: 4 << 10}
	s := status.New(codeOf[classes.name(d.GetClass())], w.text(err.Error()))
	if detailed, err := s.WithDetails(d); err == nil {
		s = detailed
	}
	return s.Err()
}

// fromStatus makes the error of a failed call, as the contract wants it; nil stays nil.
// op and id are used where the other side said nothing itself.
func fromStatus(ctx context.Context, op, id string, err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	for _, any := range s.Details() {
		if d, ok := any.(*pb.ErrorDetail); ok {
			return withContext(ctx, detailed(op, id, d))
		}
	}
	if ctxErr := contextErr(ctx); ctxErr != nil && (s.Code() == codes.Canceled || s.Code() == codes.DeadlineExceeded) {
		return &provider.Error{Class: provider.Canceled, Op: op, ID: id, Err: ctxErr}
	}
	e := &provider.Error{Class: provider.Internal, Op: op, ID: id, Err: errors.New(s.Message())}
	switch s.Code() {
	case codes.Unavailable, codes.Canceled: // Canceled: the connection was closed by this side
		e.Class, e.Message = provider.Unavailable, "the plugin can't be reached"
	case codes.DeadlineExceeded:
		e.Class = provider.Canceled
	case codes.InvalidArgument:
		e.Class = provider.InvalidArgument
	case codes.Unimplemented:
		e.Class, e.Message = provider.Unsupported, "the plugin does not know this call"
	case codes.ResourceExhausted:
		e.Class = provider.Exhausted
		if op != opCreate && strings.Contains(s.Message(), "larger than max") { // a Spec may be what is too large
			e.Code, e.Message = provider.CodeBadAnswer, "the plugin's answer is over the limit of 16 MiB"
		}
	default:
		e.Message = fmt.Sprintf("the plugin failed with the code %s and no detail", s.Code())
	}
	return e
}

// detailed makes the error of a detail, which must have a class.
func detailed(op, id string, d *pb.ErrorDetail) error {
	err := errorOf(d)
	if !classes.known(d.GetClass()) {
		return &provider.Error{Class: provider.Internal, Op: op, ID: id, Err: err,
			Message: fmt.Sprintf("the plugin failed with the error class %s, which this host does not know", d.GetClass())}
	}
	if e, ok := err.(*provider.Error); ok {
		return e
	}
	return &provider.Error{Class: classes.name(d.GetClass()), Err: err}
}

// withContext lets a call that was canceled by ctx also be ctx's error.
func withContext(ctx context.Context, err error) error {
	if ctxErr := contextErr(ctx); ctxErr != nil && provider.ClassOf(err) == provider.Canceled {
		return &canceledError{err, ctxErr}
	}
	return err
}

// contextErr is ctx's error. The other side keeps the same deadline and may see it pass a
// moment before the timer of ctx fires on this side.
func contextErr(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

type canceledError struct{ err, ctxErr error }

func (e *canceledError) Error() string { return e.err.Error() }

func (e *canceledError) Unwrap() []error { return []error{e.err, e.ctxErr} }

// lied is the error for an answer that the contract does not allow.
func lied(op, id string, err error) error {
	if err == nil {
		return nil
	}
	return &provider.Error{Class: provider.Internal, Op: op, ID: id, Code: provider.CodeBadAnswer, Err: err}
}
