package wire

import (
	"context"
	"errors"
	"io"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

var (
	_ provider.Provider    = (*remote)(nil)
	_ provider.LogReader   = (*remote)(nil)
	_ provider.EventSource = (*remote)(nil)
)

func (r *remote) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	m, err := r.provider.Prepare(ctx, prepareToProto(req))
	if err != nil {
		return provider.Prepared{}, fromStatus(ctx, opPrepare, req.Image, err)
	}
	return preparedFromProto(m), nil
}

func (r *remote) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	m, err := r.provider.Create(ctx, &pb.CreateRequest{Spec: specToProto(spec)})
	if err != nil {
		return provider.Created{}, fromStatus(ctx, opCreate, spec.SessionID, err)
	}
	c, err := createdFromProto(m)
	return c, lied(opCreate, spec.SessionID, err)
}

func (r *remote) Get(ctx context.Context, ref provider.Ref) (provider.Sandbox, error) {
	m, err := r.provider.Get(ctx, &pb.GetRequest{Ref: refToProto(ref)})
	if err != nil {
		return provider.Sandbox{}, fromStatus(ctx, opGet, nameOf(ref), err)
	}
	if m.GetSandbox() == nil {
		return provider.Sandbox{}, lied(opGet, nameOf(ref), errNoSandbox)
	}
	return sandboxFromProto(m.GetSandbox()), nil
}

// List returns nil only after the complete message and the stream's own end.
func (r *remote) List(ctx context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	none := provider.ListSummary{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.provider.List(ctx, &pb.ListRequest{})
	if err != nil {
		return none, fromStatus(ctx, opList, "", err)
	}
	var complete *pb.ListComplete
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && complete == nil:
			return none, &provider.Error{Class: provider.Unavailable, Op: opList, Code: provider.CodeBadAnswer, Message: "the list was cut off"}
		case errors.Is(err, io.EOF):
			return summaryFromProto(complete), nil
		case err != nil:
			return none, fromStatus(ctx, opList, "", err)
		case complete != nil:
			return none, lied(opList, "", errors.New("the plugin went on after it had said that the list was complete"))
		}
		switch item := m.GetItem().(type) {
		case *pb.ListResponse_Sandbox:
			if err := yield(sandboxFromProto(item.Sandbox)); err != nil {
				return none, err
			}
		case *pb.ListResponse_Complete:
			complete = item.Complete
		default:
			return none, lied(opList, "", errors.New("the plugin listed something that is neither a sandbox nor the end"))
		}
	}
}

func (r *remote) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	m, err := r.provider.Stop(ctx, stopToProto(req))
	if err != nil {
		return provider.Stopped{}, fromStatus(ctx, opStop, req.ID, err)
	}
	s, err := stoppedFromProto(m)
	return s, lied(opStop, req.ID, err)
}

func (r *remote) Delete(ctx context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	m, err := r.provider.Delete(ctx, deleteToProto(req))
	if err != nil {
		return provider.Deleted{}, fromStatus(ctx, opDelete, req.ID, err)
	}
	d, err := deletedFromProto(m)
	return d, lied(opDelete, req.ID, err)
}

func (r *remote) Health(ctx context.Context) (provider.Health, error) {
	m, err := r.provider.Health(ctx, &pb.HealthRequest{})
	if err != nil {
		return provider.Health{}, fromStatus(ctx, opHealth, "", err)
	}
	return healthFromProto(m), nil
}

func (r *remote) Identity(ctx context.Context) (string, error) {
	m, err := r.provider.Identity(ctx, &pb.IdentityRequest{})
	if err != nil {
		return "", fromStatus(ctx, opIdentity, "", err)
	}
	return m.GetIdentity(), nil
}

func (r *remote) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.provider.Logs(ctx, logsToProto(req))
	if err != nil {
		return fromStatus(ctx, opLogs, req.ID, err)
	}
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fromStatus(ctx, opLogs, req.ID, err)
		}
		if err := yield(chunkFromProto(m)); err != nil {
			return err
		}
	}
}

func (r *remote) Events(ctx context.Context, ready func(), yield func(provider.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.provider.Events(ctx, &pb.EventsRequest{})
	if err != nil {
		return fromStatus(ctx, opEvents, "", err)
	}
	for begun := false; ; {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return &provider.Error{Class: provider.Unavailable, Op: opEvents, Message: "the plugin ended the event stream"}
		case err != nil:
			return fromStatus(ctx, opEvents, "", err)
		}
		switch item := m.GetItem().(type) {
		case *pb.EventsResponse_Ready:
			if !begun {
				begun = true
				ready()
			}
		case *pb.EventsResponse_Event:
			if !begun {
				return lied(opEvents, "", errors.New("the plugin sent an event before it said that it was ready"))
			}
			if err := yield(eventFromProto(item.Event)); err != nil {
				return err
			}
		}
	}
}
