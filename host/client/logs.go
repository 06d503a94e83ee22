package client

import (
	"context"
	"fmt"
	"math"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// Logs yields what a session's sandbox printed; with Follow until the sandbox has ended.
// It returns yield's error when there is one. A connection that breaks ends it: what came
// meanwhile can't be told from what was seen, so that nothing is yielded twice.
//
// Errors: CodeInvalidArgument, CodeNotFound (no such session, or no sandbox yet or any
// more), CodeUnavailable, CodeUnsupported.
func (c *Client) Logs(ctx context.Context, id string, req LogsRequest, yield func(LogChunk) error) error {
	const op = "logs"
	if req.Tail > math.MaxInt32 || req.Tail < math.MinInt32 {
		return &Error{Code: CodeInvalidArgument, Op: op, Message: fmt.Sprintf("tail: %d is not from 0 to %d; give the number of last lines, or 0 for all", req.Tail, math.MaxInt32)}
	}
	m := &controlv1.GetLogsRequest{SessionId: id, Tail: int32(req.Tail), Follow: req.Follow}
	if err := sendable(op, m); err != nil {
		return err
	}
	reading, leave := context.WithCancel(ctx)
	defer leave()
	stream, err := c.sessions.GetLogs(reading, connect.NewRequest(m))
	if err != nil {
		return c.failed(ctx, op, err)
	}
	defer stream.Close()
	for stream.Receive() {
		if err := yield(convert.LogChunkFromProto(stream.Msg())); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil {
		return c.failed(ctx, op, err)
	}
	return nil
}
