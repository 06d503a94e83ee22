package wire

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// Client is a plugin at the other end of a connection.
type Client struct {
	plugin pb.PluginClient
	remote remote
}

var _ provider.Plugin = (*Client)(nil)

// NewClient returns the plugin behind cc. It makes no call.
func NewClient(cc grpc.ClientConnInterface) *Client {
	return &Client{plugin: pb.NewPluginClient(cc), remote: remote{provider: pb.NewProviderClient(cc)}}
}

// Info asks who the plugin is.
func (c *Client) Info(ctx context.Context) (provider.Info, error) {
	m, err := c.plugin.GetInfo(ctx, &pb.GetInfoRequest{})
	if err != nil {
		return provider.Info{}, fromStatus(ctx, opInfo, "", err)
	}
	return infoFromProto(m), nil
}

// Schemas asks for the settings. A type that this side does not know is Internal.
func (c *Client) Schemas(ctx context.Context) (provider.Schemas, error) {
	m, err := c.plugin.GetSchema(ctx, &pb.GetSchemaRequest{})
	if err != nil {
		return provider.Schemas{}, fromStatus(ctx, opSchemas, "", err)
	}
	s, err := schemasFromProto(m)
	return s, lied(opSchemas, "", err)
}

// Validate has settings checked.
func (c *Client) Validate(ctx context.Context, req provider.ValidateRequest) (provider.Diagnostics, error) {
	m, err := c.plugin.ValidateConfig(ctx, validateToProto(req))
	if err != nil {
		return nil, fromStatus(ctx, opValidate, "", err)
	}
	return each(m.GetDiagnostics(), diagnosticFromProto), nil
}

// Configure makes the provider ready for use, and learns its capabilities.
func (c *Client) Configure(ctx context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	m, err := c.plugin.Configure(ctx, configureToProto(req))
	if err != nil {
		return provider.Configured{}, fromStatus(ctx, opConfigure, "", err)
	}
	answer := configuredFromProto(m)
	c.remote.learn(answer.Capabilities)
	return answer, nil
}

// Provider returns the provider's verbs. It also has every optional ability; what the
// other side can do is told by provider.CapabilitiesOf.
func (c *Client) Provider() provider.Provider { return &c.remote }

// Drain asks the plugin to end its calls.
func (c *Client) Drain(ctx context.Context) error {
	_, err := c.plugin.Drain(ctx, &pb.DrainRequest{})
	return fromStatus(ctx, opDrain, "", err)
}

// remote is the provider of a plugin at the other end.
type remote struct {
	provider pb.ProviderClient

	mu   sync.Mutex
	caps []provider.Capability
}

func (r *remote) learn(caps []provider.Capability) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.caps = slices.Clone(caps)
}

// Capabilities are those that Configure answered; none before.
func (r *remote) Capabilities() []provider.Capability {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.caps)
}
