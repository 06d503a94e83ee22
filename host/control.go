package host

import (
	"net/http"

	"github.com/berth-dev/berth/host/internal/control"
)

// Handler is the host's API, as on control.socket, for a platform's own server: for gRPC,
// Connect and plain JSON. For gRPC that server has to speak HTTP/2. The API asks for no
// credentials: whoever reaches it may do all.
func (h *Host) Handler() http.Handler { return h.control.Handler() }

// ControlSocket is where Run serves the API.
func (h *Host) ControlSocket() string { return h.config().Control.Socket }

// served is a host as the API sees it.
type served struct{ *Host }

var _ control.Host = served{}

// Providers tells of each provider what the API shows.
func (s served) Providers() []control.Provider {
	list := []control.Provider{}
	for _, r := range s.Host.Providers() {
		p := control.Provider{
			Name: r.Name, State: string(r.State), Reason: r.Reason, Plugin: r.Info.Name, Version: r.Info.Version,
			Backend: r.Health.Version, Identity: r.Identity, Generation: r.Generation,
		}
		for _, c := range r.Capabilities {
			p.Capabilities = append(p.Capabilities, string(c))
		}
		for _, l := range r.Health.Limitations {
			p.Limitations = append(p.Limitations, control.Limitation{Name: l.Name, Reason: l.Reason})
		}
		list = append(list, p)
	}
	return list
}
