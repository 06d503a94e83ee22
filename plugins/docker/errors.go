package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/berth-dev/berth/sdk/provider"
)

// The stable codes of this provider's errors.
const (
	codeStart = "sandbox_start_failed" // prepare, create
	codeStop  = "sandbox_stop_failed"  // stop, delete
	codeList  = "sandbox_list_failed"  // list
)

// classOf tells the class of what a call to the daemon returned. ctx is the caller's:
// a deadline of our own that passed means that the daemon can't be asked.
func classOf(ctx context.Context, err error) provider.Class {
	var known *provider.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &known):
		return known.Class
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		if ctx.Err() != nil {
			return provider.Canceled
		}
		return provider.Unavailable
	case client.IsErrConnectionFailed(err), isCutOff(err), isDaemonDown(err.Error()):
		return provider.Unavailable
	case isExhausted(err.Error()):
		return provider.Exhausted
	case cerrdefs.IsNotFound(err):
		return provider.NotFound
	case cerrdefs.IsConflict(err):
		return provider.Conflict
	case isVersionMismatch(err.Error()), cerrdefs.IsUnavailable(err):
		return provider.Unavailable
	case cerrdefs.IsInvalidArgument(err):
		return provider.InvalidArgument
	case cerrdefs.IsNotImplemented(err):
		return provider.Unsupported
	default:
		return provider.Internal
	}
}

// isCutOff reports whether an answer broke off or never came.
func isCutOff(err error) bool {
	var netErr net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &netErr)
}

// isDaemonDown knows the words of a daemon that is going away, or that has lost the
// containerd under it.
func isDaemonDown(text string) bool {
	// containerd's own class stands at the end of its words, or before those of a cause.
	return strings.HasSuffix(text, ": unavailable") || containsAny(text,
		": unavailable: ",
		"client connection is closing",
		"daemon is shutting down",
		"transport is closing",
		"ttrpc: closed",
		"rpc error: code = Unavailable",
		"failed to dial \"/run/containerd",
		"connection error: desc = ", // of gRPC to containerd's socket, wherever it is
		"error reading from server", // the same, in the midst of a call
		"cannot connect to containerd",
	)
}

// isExhausted knows the words of a daemon that has run out of something.
func isExhausted(text string) bool {
	return containsAny(text,
		"no available IPv4 addresses",
		"no available IPv6 addresses",
		"no space left on device",
		"exchange full", // a bridge has no port left
		"all predefined address pools have been fully subnetted",
		"port is already allocated",
		"cannot allocate memory",
		"too many open files",
		"resource temporarily unavailable",
	)
}

// isVersionMismatch knows the words of a daemon that does not speak the API version
// that was agreed on with the one before it.
func isVersionMismatch(text string) bool {
	return strings.Contains(text, "client version ") && containsAny(text, "is too new", "is too old")
}

func containsAny(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// failure makes the error of one operation from what a call to the daemon returned.
// The daemon's words are its cause.
func (p *Provider) failure(ctx context.Context, op, id, code, message string, err error) *provider.Error {
	if isVersionMismatch(err.Error()) {
		p.daemon.renegotiate()
	}
	return &provider.Error{
		Class:   classOf(ctx, err),
		Op:      op,
		ID:      id,
		Code:    code,
		Message: message,
		LogTail: provider.LogTailOf(err),
		Err:     err,
	}
}

// refusal makes the error of an operation that is refused without asking the daemon.
func refusal(class provider.Class, op, id, code, message string) *provider.Error {
	return &provider.Error{Class: class, Op: op, ID: id, Code: code, Message: message}
}
