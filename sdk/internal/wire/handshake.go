package wire

import (
	"context"
	"errors"
	"log/slog"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/berth-dev/berth/sdk/provider"
)

// ProtocolVersion is the major version of the boundary, as go-plugin negotiates it.
// Within it there are only additions.
const ProtocolVersion = 1

// PluginName is the name under which go-plugin dispenses the provider.
const PluginName = "provider"

// MaxMessageSize is the largest message in either direction, in bytes.
const MaxMessageSize = 16 << 20

// LifelineEnv names the variable that holds the number of an inherited descriptor. Its
// end of file means that the host is gone, and ends the plugin at once.
const LifelineEnv = "BERTH_LIFELINE_FD"

// Handshake tells a plugin that a host started it. It is no secret. The protocol
// version in it is not used: see [PluginSets].
var Handshake = goplugin.HandshakeConfig{
	MagicCookieKey:   "BERTH_PLUGIN",
	MagicCookieValue: "d7f3a1c0-berth-provider-plugin",
}

// PluginSets are the protocol versions that this code speaks, for both sides of
// go-plugin. A plugin gives p; a host gives nothing.
func PluginSets(p Plugin) map[int]goplugin.PluginSet {
	return map[int]goplugin.PluginSet{ProtocolVersion: {PluginName: &p}}
}

// Plugin joins the boundary to go-plugin. On the plugin's side it serves Impl; on the
// host's side, where Impl is nil, Dispense(PluginName) returns a provider.Plugin.
type Plugin struct {
	goplugin.NetRPCUnsupportedPlugin

	Impl   provider.Plugin // served; nil on the host's side
	Logger *slog.Logger    // hears of panics in Impl; required where Impl is set
}

var _ goplugin.GRPCPlugin = (*Plugin)(nil)

// GRPCServer registers Impl.
func (p *Plugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	if p.Impl == nil || p.Logger == nil {
		return errors.New("wire: a served plugin needs Impl and Logger")
	}
	RegisterServer(s, p.Impl, p.Logger)
	return nil
}

// GRPCClient returns a provider.Plugin over cc.
func (p *Plugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return NewClient(cc), nil
}
