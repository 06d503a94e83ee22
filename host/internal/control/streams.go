package control

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// WatchSessions sends what the host tells, until the caller leaves, lags too far behind,
// or the host stops.
func (s sessions) WatchSessions(ctx context.Context, _ *connect.Request[controlv1.WatchSessionsRequest], stream *connect.ServerStream[controlv1.WatchSessionsResponse]) error {
	ctx, done := s.streaming(ctx)
	defer done()
	for ev := range s.host.Watch(ctx) {
		if err := stream.Send(convert.EventToProto(ev)); err != nil {
			return err
		}
		if ev.Type == api.EventResync {
			return nil
		}
	}
	if ctx.Err() == nil { // the engine ended before this server did
		return stopped("watch")
	}
	return whyEnded(ctx, "watch", ctx.Err())
}

// GetLogs sends what a sandbox has printed, and with follow what it prints.
func (s sessions) GetLogs(ctx context.Context, req *connect.Request[controlv1.GetLogsRequest], stream *connect.ServerStream[controlv1.GetLogsResponse]) error {
	ctx, done := s.streaming(ctx)
	defer done()
	want := api.LogsRequest{Tail: int(req.Msg.GetTail()), Follow: req.Msg.GetFollow()}
	err := s.host.Logs(ctx, req.Msg.GetSessionId(), want, func(c api.LogChunk) error {
		return stream.Send(convert.LogChunkToProto(c))
	})
	return whyEnded(ctx, "logs", err)
}

// whyEnded is err, unless it is a consequence of Close.
func whyEnded(ctx context.Context, op string, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStopping) {
		return stopped(op)
	}
	return err
}

func stopped(op string) error {
	e := *errStopping
	e.Op = op
	return &e
}
