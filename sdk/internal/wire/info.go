package wire

import (
	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

func infoToProto(i provider.Info) *pb.GetInfoResponse {
	return &pb.GetInfoResponse{Name: i.Name, Version: i.Version, Features: i.Features}
}

func infoFromProto(m *pb.GetInfoResponse) provider.Info {
	return provider.Info{Name: m.GetName(), Version: m.GetVersion(), Features: m.GetFeatures()}
}

func validateToProto(r provider.ValidateRequest) *pb.ValidateConfigRequest {
	m := &pb.ValidateConfigRequest{Config: r.Config, Sandboxes: r.Sandboxes}
	if len(r.Templates) > 0 {
		m.Templates = make(map[string]*pb.TemplateInfo, len(r.Templates))
	}
	for name, t := range r.Templates {
		m.Templates[name] = templateToProto(t)
	}
	return m
}

func validateFromProto(m *pb.ValidateConfigRequest) provider.ValidateRequest {
	r := provider.ValidateRequest{Config: m.GetConfig(), Sandboxes: m.GetSandboxes()}
	if len(m.GetTemplates()) > 0 {
		r.Templates = make(map[string]provider.TemplateInfo, len(m.GetTemplates()))
	}
	for name, t := range m.GetTemplates() {
		r.Templates[name] = templateFromProto(t)
	}
	return r
}

func templateToProto(t provider.TemplateInfo) *pb.TemplateInfo {
	return &pb.TemplateInfo{Image: t.Image, Network: t.Network, Port: int64(t.Port), Publish: t.Publish,
		Mounts: each(t.Mounts, mountToProto)}
}

func templateFromProto(m *pb.TemplateInfo) provider.TemplateInfo {
	return provider.TemplateInfo{Image: m.GetImage(), Network: m.GetNetwork(), Port: int(m.GetPort()), Publish: m.GetPublish(),
		Mounts: each(m.GetMounts(), mountFromProto)}
}

func diagnosticToProto(d provider.Diagnostic) *pb.Diagnostic {
	return &pb.Diagnostic{Severity: severities.number(d.Severity), Summary: utf8(d.Summary), Detail: utf8(d.Detail),
		Template: d.Template, Path: d.Path}
}

// diagnosticFromProto takes a severity that it does not know for an error.
func diagnosticFromProto(m *pb.Diagnostic) provider.Diagnostic {
	d := provider.Diagnostic{Severity: provider.SeverityError, Summary: m.GetSummary(), Detail: m.GetDetail(),
		Template: m.GetTemplate(), Path: m.GetPath()}
	if severities.known(m.GetSeverity()) {
		d.Severity = severities.name(m.GetSeverity())
	}
	return d
}

func configureToProto(r provider.ConfigureRequest) *pb.ConfigureRequest {
	return &pb.ConfigureRequest{Config: r.Config, Owner: r.Owner}
}

func configureFromProto(m *pb.ConfigureRequest) provider.ConfigureRequest {
	return provider.ConfigureRequest{Config: m.GetConfig(), Owner: m.GetOwner()}
}

func configuredToProto(c provider.Configured) *pb.ConfigureResponse {
	return &pb.ConfigureResponse{Capabilities: each(c.Capabilities, func(c provider.Capability) string { return string(c) })}
}

func configuredFromProto(m *pb.ConfigureResponse) provider.Configured {
	return provider.Configured{Capabilities: each(m.GetCapabilities(), func(s string) provider.Capability { return provider.Capability(s) })}
}
