package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/control/convert"
)

// awayError is a connection that could not be made. It says where, why, and what to do.
type awayError struct {
	where  string
	socket bool // else it is a URL
	err    error
}

// Error is one line.
func (e *awayError) Error() string {
	why := e.err
	var op *net.OpError
	if errors.As(why, &op) {
		why = op.Err
	}
	var call interface{ Unwrap() error } // os.SyscallError: "connect: …"
	if errors.As(why, &call) && call.Unwrap() != nil {
		why = call.Unwrap()
	}
	switch {
	case !e.socket:
		return fmt.Sprintf("no host answers at %s: %v; is the address right, and does the host run?", e.where, why)
	case errors.Is(e.err, fs.ErrPermission):
		return fmt.Sprintf("the socket %s is not for this user: %v; call as the user that the host runs as", e.where, why)
	case errors.Is(e.err, syscall.EINVAL):
		return fmt.Sprintf("no host answers at %s: the path is %d bytes long, which is more than the system allows for a socket; give the one that the host listens on", e.where, len(e.where))
	case errors.Is(e.err, fs.ErrNotExist), errors.Is(e.err, syscall.ECONNREFUSED):
		return fmt.Sprintf("no host answers at %s: %v; start one with: berth serve --config config.hcl", e.where, why)
	}
	return fmt.Sprintf("no host answers at %s: %v", e.where, why)
}

// Unwrap returns the cause.
func (e *awayError) Unwrap() error { return e.err }

// pingLost is what net/http says when a ping is not answered. It has no value for that.
const pingLost = "client connection lost"

// failed is the *Error for what a call has come to.
func (c *Client) failed(ctx context.Context, op string, err error) error {
	var e *Error
	if !errors.As(convert.ErrorFromConnect(err), &e) {
		return &Error{Code: CodeInternal, Op: op, Err: err}
	}
	e.Op = op
	e.Message = strings.TrimPrefix(e.Message, op+": ")
	var away *awayError
	switch ended := contextError(ctx, err); {
	case ended != nil:
		return &Error{Code: CodeUnavailable, Op: op, Err: ended}
	case errors.Is(err, errClosed) || c.link.isClosed() && !connect.IsWireError(err):
		return &Error{Code: CodeUnavailable, Op: op, Err: errClosed}
	case errors.As(err, &away):
		return &Error{Code: CodeUnavailable, Op: op, Err: away}
	case e.Err != nil && !connect.IsWireError(err):
		var sent *url.Error
		if errors.As(e.Err, &sent) {
			e.Err = sent.Err
		}
		e.Message = "the connection to " + c.link.where + " broke"
		if strings.Contains(e.Err.Error(), pingLost) {
			e.Message = fmt.Sprintf("the host at %s has not answered for %v; it hangs, or has no time", c.link.where, pingAfter+pingTimeout)
		}
	}
	return e
}

// contextError tells how the context has ended, when that is why a call failed; else nil.
func contextError(ctx context.Context, err error) error {
	code := connect.CodeOf(err)
	over := code == connect.CodeCanceled || code == connect.CodeDeadlineExceeded
	switch {
	case connect.IsWireError(err) && !over:
		return nil // the host's own answer
	case ctx.Err() == nil && connect.IsWireError(err) && code == connect.CodeDeadlineExceeded:
		return context.DeadlineExceeded // by the host's clock, which was a little ahead
	}
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}
