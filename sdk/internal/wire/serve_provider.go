package wire

import (
	"context"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

type providerServer struct {
	pb.UnimplementedProviderServer
	guard
	plugin provider.Plugin
}

// verb makes one call of the provider, which must have been configured.
func verb[A, M any](ctx context.Context, s *providerServer, op, id string, call func(provider.Provider) (A, error), convert func(A) M) (M, error) {
	return answer(ctx, s.guard, op, id, func() (A, error) {
		p, err := s.provider(op, id)
		if err != nil {
			var none A
			return none, err
		}
		return call(p)
	}, convert)
}

func (s *providerServer) provider(op, id string) (provider.Provider, error) {
	p := s.plugin.Provider()
	if p == nil {
		return nil, &provider.Error{Class: provider.Unavailable, Op: op, ID: id, Message: "the plugin is not configured yet"}
	}
	return p, nil
}

func (s *providerServer) Prepare(ctx context.Context, m *pb.PrepareRequest) (*pb.PrepareResponse, error) {
	return verb(ctx, s, opPrepare, m.GetImage(), func(p provider.Provider) (provider.Prepared, error) {
		return p.Prepare(ctx, prepareFromProto(m))
	}, preparedToProto)
}

func (s *providerServer) Create(ctx context.Context, m *pb.CreateRequest) (*pb.CreateResponse, error) {
	id := m.GetSpec().GetSessionId()
	return verb(ctx, s, opCreate, id, func(p provider.Provider) (provider.Created, error) {
		spec, err := specFromProto(m.GetSpec())
		if err != nil {
			return provider.Created{}, err
		}
		return p.Create(ctx, spec)
	}, createdToProto)
}

func (s *providerServer) Get(ctx context.Context, m *pb.GetRequest) (*pb.GetResponse, error) {
	ref := refFromProto(m.GetRef())
	return verb(ctx, s, opGet, nameOf(ref), func(p provider.Provider) (provider.Sandbox, error) {
		return p.Get(ctx, ref)
	}, func(s provider.Sandbox) *pb.GetResponse { return &pb.GetResponse{Sandbox: sandboxToProto(s)} })
}

func (s *providerServer) Stop(ctx context.Context, m *pb.StopRequest) (*pb.StopResponse, error) {
	return verb(ctx, s, opStop, m.GetId(), func(p provider.Provider) (provider.Stopped, error) {
		return p.Stop(ctx, stopFromProto(m))
	}, stoppedToProto)
}

func (s *providerServer) Delete(ctx context.Context, m *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	return verb(ctx, s, opDelete, m.GetId(), func(p provider.Provider) (provider.Deleted, error) {
		return p.Delete(ctx, deleteFromProto(m))
	}, deletedToProto)
}

func (s *providerServer) Health(ctx context.Context, _ *pb.HealthRequest) (*pb.HealthResponse, error) {
	return verb(ctx, s, opHealth, "", func(p provider.Provider) (provider.Health, error) {
		return p.Health(ctx)
	}, healthToProto)
}

func (s *providerServer) Identity(ctx context.Context, _ *pb.IdentityRequest) (*pb.IdentityResponse, error) {
	return verb(ctx, s, opIdentity, "", func(p provider.Provider) (string, error) {
		return p.Identity(ctx)
	}, func(id string) *pb.IdentityResponse { return &pb.IdentityResponse{Identity: utf8(id)} })
}
