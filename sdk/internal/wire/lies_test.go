package wire

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// liar is a plugin of another make, that keeps no rule.
type liar struct {
	pb.UnimplementedPluginServer
	pb.UnimplementedProviderServer
	list func(grpc.ServerStreamingServer[pb.ListResponse]) error
	get  func() (*pb.GetResponse, error)
}

func (l *liar) List(_ *pb.ListRequest, s grpc.ServerStreamingServer[pb.ListResponse]) error {
	return l.list(s)
}

func (l *liar) Get(context.Context, *pb.GetRequest) (*pb.GetResponse, error) { return l.get() }

func (l *liar) Create(context.Context, *pb.CreateRequest) (*pb.CreateResponse, error) {
	return &pb.CreateResponse{Outcome: 77, Sandbox: &pb.Sandbox{Id: "x"}}, nil
}

func (l *liar) Delete(context.Context, *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	return &pb.DeleteResponse{Outcome: pb.Outcome_OUTCOME_CREATED}, nil
}

func (l *liar) GetSchema(context.Context, *pb.GetSchemaRequest) (*pb.GetSchemaResponse, error) {
	return &pb.GetSchemaResponse{Provider: &pb.Schema{Attributes: []*pb.Attribute{{Name: "odd", Type: 55}}}}, nil
}

func TestLies(t *testing.T) {
	l := &liar{}
	c, _ := connect(t, DialOptions(nil), ServerOptions(nil), func(s *grpc.Server) {
		pb.RegisterPluginServer(s, l)
		pb.RegisterProviderServer(s, l)
	})
	p, ctx := c.Provider(), t.Context()
	sandbox := &pb.ListResponse{Item: &pb.ListResponse_Sandbox{Sandbox: &pb.Sandbox{Id: "x", State: 99}}}
	complete := &pb.ListResponse{Item: &pb.ListResponse_Complete{Complete: &pb.ListComplete{Total: 1}}}

	expect := func(what string, err error, class provider.Class, words string) {
		t.Helper()
		if !errors.Is(err, class) || provider.ClassOf(err) != class || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v; want %s with %q", what, err, class, words)
		}
	}
	// counted is what a host does with an answer that the contract does not allow.
	counted := func(what string, err error) {
		t.Helper()
		if !provider.IsBadAnswer(err) {
			t.Errorf("%s: %v is no bad answer", what, err)
		}
	}
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error { return s.Send(sandbox) }
	all, _, err := list(ctx, p)
	expect("no complete", err, provider.Unavailable, "cut off")
	counted("no complete", err)
	if len(all) != 1 || all[0].State != provider.StateUnknown {
		t.Errorf("%+v", all)
	}
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error { return nil }
	_, _, err = list(ctx, p)
	expect("nothing at all", err, provider.Unavailable, "cut off")
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error {
		return errors.Join(s.Send(complete), s.Send(sandbox))
	}
	_, _, err = list(ctx, p)
	expect("more after complete", err, provider.Internal, "went on")
	counted("more after complete", err)
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error {
		return errors.Join(s.Send(complete), status.Error(codes.Unknown, "hm"))
	}
	_, _, err = list(ctx, p)
	expect("error after complete", err, provider.Internal, "Unknown")
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error { return s.Send(&pb.ListResponse{}) }
	_, _, err = list(ctx, p)
	expect("empty item", err, provider.Internal, "neither")

	_, err = p.Create(ctx, spec(1))
	expect("outcome", err, provider.Internal, "77")
	counted("outcome", err)
	_, err = p.Delete(ctx, provider.DeleteRequest{ID: "x"})
	expect("outcome of another verb", err, provider.Internal, "OUTCOME_CREATED")
	_, err = c.Schemas(ctx)
	expect("attribute type", err, provider.Internal, `"odd" has the type 55`)
	_, err = p.Stop(ctx, provider.StopRequest{ID: "x"})
	expect("no such call", err, provider.Unsupported, "does not know")

	for _, x := range []struct {
		code  codes.Code
		class provider.Class
	}{
		{codes.NotFound, provider.Internal}, {codes.Unknown, provider.Internal}, {codes.AlreadyExists, provider.Internal},
		{codes.Unavailable, provider.Unavailable}, {codes.InvalidArgument, provider.InvalidArgument},
		{codes.Unimplemented, provider.Unsupported}, {codes.ResourceExhausted, provider.Exhausted},
		{codes.DeadlineExceeded, provider.Canceled},
	} {
		l.get = func() (*pb.GetResponse, error) { return nil, status.Error(x.code, "words") }
		_, err = p.Get(ctx, provider.Ref{ID: "x"})
		expect(x.code.String(), err, x.class, "words")
		if provider.IsBadAnswer(err) {
			t.Errorf("%s: an honest failure is called a bad answer", x.code)
		}
	}
	l.get = func() (*pb.GetResponse, error) { return &pb.GetResponse{}, nil }
	_, err = p.Get(ctx, provider.Ref{ID: "x"})
	expect("no sandbox", err, provider.Internal, "without a sandbox")
	l.get = func() (*pb.GetResponse, error) {
		s, err := status.New(codes.NotFound, "m").WithDetails(&pb.ErrorDetail{Class: 42, Message: "gone"})
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	}
	_, err = p.Get(ctx, provider.Ref{ID: "x"})
	expect("unknown class", err, provider.Internal, "class 42")
}
