package control

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/berth-dev/berth/host/internal/control/convert"
	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// health is grpc.health.v1: the API answers, until Close. How the providers are is
// ProviderService's to tell.
type health struct{ s *Server }

var _ grpchealth.Watcher = health{}

// Check answers for each service, and for "", the whole.
func (h health) Check(_ context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	switch req.Service {
	case "", controlv1connect.SessionServiceName, controlv1connect.ProviderServiceName:
	default:
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("%q is no service of this host", clip(req.Service)))
	}
	if h.s.stopping() {
		return nil, convert.ErrorToConnect(errStopping)
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}

// Watch tells of Close.
func (h health) Watch(_ context.Context, _ *grpchealth.CheckRequest, onChange func()) (func(), error) {
	stop := context.AfterFunc(h.s.life, onChange)
	return func() { stop() }, nil
}
