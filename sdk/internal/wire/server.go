package wire

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// RegisterServer serves p on r. A panic of p fails its call with Internal, and log hears
// of it with the stack.
func RegisterServer(r grpc.ServiceRegistrar, p provider.Plugin, log *slog.Logger) {
	g := guard{log}
	pb.RegisterPluginServer(r, &pluginServer{guard: g, plugin: p})
	pb.RegisterProviderServer(r, &providerServer{guard: g, plugin: p})
}

// guard makes calls of code that may panic.
type guard struct{ log *slog.Logger }

// call runs f and makes the status of its error.
func (g guard) call(ctx context.Context, op, id string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			g.log.ErrorContext(ctx, "the provider panicked",
				"op", op, "id", id, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = toStatus(&provider.Error{Class: provider.Internal, Op: op, ID: id,
				Message: fmt.Sprintf("the provider panicked: %v", v)})
		}
	}()
	return toStatus(f())
}

// answer is call for a verb that answers.
func answer[A, M any](ctx context.Context, g guard, op, id string, verb func() (A, error), convert func(A) M) (m M, err error) {
	err = g.call(ctx, op, id, func() error {
		a, err := verb()
		if err == nil {
			m = convert(a)
		}
		return err
	})
	return m, err
}

type pluginServer struct {
	pb.UnimplementedPluginServer
	guard
	plugin provider.Plugin
}

func (s *pluginServer) GetInfo(ctx context.Context, _ *pb.GetInfoRequest) (*pb.GetInfoResponse, error) {
	return answer(ctx, s.guard, opInfo, "", func() (provider.Info, error) { return s.plugin.Info(ctx) }, infoToProto)
}

func (s *pluginServer) GetSchema(ctx context.Context, _ *pb.GetSchemaRequest) (*pb.GetSchemaResponse, error) {
	return answer(ctx, s.guard, opSchemas, "", func() (provider.Schemas, error) { return s.plugin.Schemas(ctx) }, schemasToProto)
}

func (s *pluginServer) ValidateConfig(ctx context.Context, m *pb.ValidateConfigRequest) (*pb.ValidateConfigResponse, error) {
	return answer(ctx, s.guard, opValidate, "", func() (provider.Diagnostics, error) {
		return s.plugin.Validate(ctx, validateFromProto(m))
	}, func(d provider.Diagnostics) *pb.ValidateConfigResponse {
		return &pb.ValidateConfigResponse{Diagnostics: each(d, diagnosticToProto)}
	})
}

func (s *pluginServer) Configure(ctx context.Context, m *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	return answer(ctx, s.guard, opConfigure, "", func() (provider.Configured, error) {
		return s.plugin.Configure(ctx, configureFromProto(m))
	}, configuredToProto)
}

func (s *pluginServer) Drain(ctx context.Context, _ *pb.DrainRequest) (*pb.DrainResponse, error) {
	err := s.call(ctx, opDrain, "", func() error { return s.plugin.Drain(ctx) })
	return &pb.DrainResponse{}, err
}
