package wire

import (
	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

func sandboxToProto(s provider.Sandbox) *pb.Sandbox {
	m := &pb.Sandbox{
		Id: utf8(s.ID), Name: utf8(s.Name), State: states.number(s.State),
		Owner: utf8(s.Owner), SessionId: utf8(s.SessionID), ChatId: utf8(s.ChatID), AgentId: utf8(s.AgentID),
		Template: utf8(s.Template), RequestHash: utf8(s.RequestHash),
		CreatedAt: timestamp(s.CreatedAt), ExpiresAt: timestamp(s.ExpiresAt), VolumeHostPath: utf8(s.VolumeHostPath),
		Exit: exitToProto(s.Exit), Unreadable: utf8(s.Unreadable),
	}
	if s.Endpoint != nil {
		m.Endpoint = &pb.Endpoint{Ip: utf8(s.Endpoint.IP), Port: int64(s.Endpoint.Port)}
	}
	return m
}

// sandboxFromProto takes a state that it does not know for StateUnknown.
func sandboxFromProto(m *pb.Sandbox) provider.Sandbox {
	s := provider.Sandbox{
		ID: m.GetId(), Name: m.GetName(), State: provider.StateUnknown,
		Owner: m.GetOwner(), SessionID: m.GetSessionId(), ChatID: m.GetChatId(), AgentID: m.GetAgentId(),
		Template: m.GetTemplate(), RequestHash: m.GetRequestHash(),
		CreatedAt: instant(m.GetCreatedAt()), ExpiresAt: instant(m.GetExpiresAt()), VolumeHostPath: m.GetVolumeHostPath(),
		Exit: exitFromProto(m.GetExit()), Unreadable: m.GetUnreadable(),
	}
	if states.known(m.GetState()) {
		s.State = states.name(m.GetState())
	}
	if e := m.GetEndpoint(); e != nil {
		s.Endpoint = &provider.Endpoint{IP: e.GetIp(), Port: int(e.GetPort())}
	}
	return s
}

func exitToProto(e *provider.Exit) *pb.Exit {
	if e == nil {
		return nil
	}
	return &pb.Exit{Code: int64(e.Code), OomKilled: e.OOMKilled, At: timestamp(e.At)}
}

func exitFromProto(m *pb.Exit) *provider.Exit {
	if m == nil {
		return nil
	}
	return &provider.Exit{Code: int(m.GetCode()), OOMKilled: m.GetOomKilled(), At: instant(m.GetAt())}
}

func refToProto(r provider.Ref) *pb.Ref { return &pb.Ref{Id: r.ID, Name: r.Name} }

func refFromProto(m *pb.Ref) provider.Ref { return provider.Ref{ID: m.GetId(), Name: m.GetName()} }

func summaryToProto(s provider.ListSummary) *pb.ListComplete {
	return &pb.ListComplete{Total: int64(s.Total), Unreadable: each(s.Unreadable, func(u provider.Unreadable) *pb.Unreadable {
		return &pb.Unreadable{Id: utf8(u.ID), Owner: utf8(u.Owner), Reason: utf8(u.Reason)}
	})}
}

func summaryFromProto(m *pb.ListComplete) provider.ListSummary {
	return provider.ListSummary{Total: int(m.GetTotal()), Unreadable: each(m.GetUnreadable(), func(u *pb.Unreadable) provider.Unreadable {
		return provider.Unreadable{ID: u.GetId(), Owner: u.GetOwner(), Reason: u.GetReason()}
	})}
}
