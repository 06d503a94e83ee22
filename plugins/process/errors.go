//go:build linux

package process

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/sdk/provider"
)

// The stable codes of this provider's errors.
const (
	codeStart = "sandbox_start_failed" // prepare, create
	codeStop  = "sandbox_stop_failed"  // stop, delete
	codeList  = "sandbox_list_failed"  // list
)

// errGone says that there is no such sandbox.
var errGone = &provider.Error{Class: provider.NotFound, Message: "there is no such sandbox"}

// classOf tells the class of what went wrong. ctx is the caller's.
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
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.EMFILE),
		errors.Is(err, unix.ENFILE), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM):
		return provider.Exhausted
	case errors.Is(err, unix.EIO), errors.Is(err, unix.EROFS), errors.Is(err, unix.ESTALE):
		return provider.Unavailable // the state directory's disk
	case errors.Is(err, fs.ErrPermission):
		return provider.Unavailable
	default:
		return provider.Internal
	}
}

// failure makes the error of one operation.
func failure(ctx context.Context, op, id, code, message string, err error) *provider.Error {
	return &provider.Error{Class: classOf(ctx, err), Op: op, ID: id, Code: code, Message: message,
		LogTail: provider.LogTailOf(err), Err: err}
}

// refusal makes an error of a class, to be wrapped by failure.
func refusal(class provider.Class, message string) *provider.Error {
	return &provider.Error{Class: class, Message: message}
}
