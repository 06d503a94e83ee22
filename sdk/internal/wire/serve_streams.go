package wire

import (
	"sync"

	"google.golang.org/grpc"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// sender sends the messages of one stream. A provider yields from one goroutine, but a
// stream must not be harmed by one that does not.
type sender[M any] struct {
	mu     sync.Mutex
	stream grpc.ServerStreamingServer[M]
	op, id string
}

func (s *sender[M]) send(m *M) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fromStatus(s.stream.Context(), s.op, s.id, s.stream.Send(m))
}

func (s *providerServer) List(_ *pb.ListRequest, stream grpc.ServerStreamingServer[pb.ListResponse]) error {
	ctx := stream.Context()
	return s.call(ctx, opList, "", func() error {
		p, err := s.provider(opList, "")
		if err != nil {
			return err
		}
		out := &sender[pb.ListResponse]{stream: stream, op: opList}
		summary, err := p.List(ctx, func(x provider.Sandbox) error {
			return out.send(&pb.ListResponse{Item: &pb.ListResponse_Sandbox{Sandbox: sandboxToProto(x)}})
		})
		if err != nil {
			return err
		}
		return out.send(&pb.ListResponse{Item: &pb.ListResponse_Complete{Complete: summaryToProto(summary)}})
	})
}

func (s *providerServer) Logs(m *pb.LogsRequest, stream grpc.ServerStreamingServer[pb.LogsResponse]) error {
	ctx, req := stream.Context(), logsFromProto(m)
	return s.call(ctx, opLogs, req.ID, func() error {
		p, err := s.provider(opLogs, req.ID)
		if err != nil {
			return err
		}
		reader, ok := p.(provider.LogReader)
		if !ok {
			return unsupported(opLogs, req.ID)
		}
		out := &sender[pb.LogsResponse]{stream: stream, op: opLogs, id: req.ID}
		return reader.Logs(ctx, req, func(c provider.LogChunk) error {
			for len(c.Data) > maxChunk {
				if err := out.send(chunkToProto(provider.LogChunk{Stderr: c.Stderr, Data: c.Data[:maxChunk]})); err != nil {
					return err
				}
				c.Data = c.Data[maxChunk:]
			}
			return out.send(chunkToProto(c))
		})
	})
}

func (s *providerServer) Events(_ *pb.EventsRequest, stream grpc.ServerStreamingServer[pb.EventsResponse]) error {
	ctx := stream.Context()
	return s.call(ctx, opEvents, "", func() error {
		p, err := s.provider(opEvents, "")
		if err != nil {
			return err
		}
		source, ok := p.(provider.EventSource)
		if !ok {
			return unsupported(opEvents, "")
		}
		out := &sender[pb.EventsResponse]{stream: stream, op: opEvents}
		var broken error // of ready, which can't tell it
		err = source.Events(ctx, func() {
			broken = out.send(&pb.EventsResponse{Item: &pb.EventsResponse_Ready{Ready: &pb.EventsReady{}}})
		}, func(ev provider.Event) error {
			if broken != nil {
				return broken
			}
			return out.send(&pb.EventsResponse{Item: &pb.EventsResponse_Event{Event: eventToProto(ev)}})
		})
		if err == nil {
			return &provider.Error{Class: provider.Unavailable, Op: opEvents, Message: "the provider ended the event stream"}
		}
		return err
	})
}

func unsupported(op, id string) error {
	return &provider.Error{Class: provider.Unsupported, Op: op, ID: id, Message: "this provider has no such ability"}
}
