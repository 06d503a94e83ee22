package control

import (
	"context"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// providers is ProviderService.
type providers struct{ *Server }

var _ controlv1connect.ProviderServiceHandler = providers{}

func (s providers) ListProviders(context.Context, *connect.Request[controlv1.ListProvidersRequest]) (*connect.Response[controlv1.ListProvidersResponse], error) {
	out := &controlv1.ListProvidersResponse{}
	for _, p := range s.host.Providers() {
		out.Providers = append(out.Providers, convert.ProviderToProto(p))
	}
	return connect.NewResponse(out), nil
}
