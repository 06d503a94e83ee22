package convert

import (
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// Provider is one provider as it is at one moment. The fields are those of the API.
type Provider struct {
	Name         string
	State        string
	Reason       string // why it is not ready
	Plugin       string
	Version      string
	Backend      string
	Identity     string
	Capabilities []string
	Limitations  []Limitation
	Generation   int
}

// Limitation is something that a backend can't do or enforce.
type Limitation struct{ Name, Reason string }

// ProviderToProto is the provider as the API shows it.
func ProviderToProto(p Provider) *controlv1.Provider {
	m := &controlv1.Provider{
		Name: p.Name, State: p.State, Reason: text(p.Reason), Plugin: text(p.Plugin), Version: text(p.Version),
		Backend: text(p.Backend), Identity: text(p.Identity), Generation: int32(p.Generation),
	}
	for _, c := range p.Capabilities {
		m.Capabilities = append(m.Capabilities, text(c))
	}
	for _, l := range p.Limitations {
		m.Limitations = append(m.Limitations, &controlv1.Limitation{Name: text(l.Name), Reason: text(l.Reason)})
	}
	return m
}

// ProviderFromProto is the provider that the API has shown.
func ProviderFromProto(m *controlv1.Provider) Provider {
	p := Provider{
		Name: m.GetName(), State: m.GetState(), Reason: m.GetReason(), Plugin: m.GetPlugin(), Version: m.GetVersion(),
		Backend: m.GetBackend(), Identity: m.GetIdentity(), Capabilities: m.GetCapabilities(), Generation: int(m.GetGeneration()),
	}
	for _, l := range m.GetLimitations() {
		p.Limitations = append(p.Limitations, Limitation{Name: l.GetName(), Reason: l.GetReason()})
	}
	return p
}
