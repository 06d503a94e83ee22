package convert

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/berth-dev/berth/host/internal/api"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// SessionToProto is the session as the API shows it.
func SessionToProto(s api.Session) *controlv1.Session {
	m := &controlv1.Session{
		SessionId: s.ID, ChatId: s.ChatID, AgentId: text(s.AgentID),
		Template: s.Template, Provider: s.Provider, SandboxId: text(s.SandboxID), Status: string(s.Status),
		CreatedAt: timeToProto(s.CreatedAt), ExpiresAt: timeToProto(s.ExpiresAt),
		VolumeHostPath: text(s.VolumeHostPath), Metadata: s.Metadata,
	}
	if e := s.Endpoint; e != nil {
		m.Endpoint = &controlv1.Endpoint{Ip: text(e.IP), Port: int32(e.Port)}
	}
	if e := s.Ended; e != nil {
		m.Ended = &controlv1.Ended{Reason: string(e.Reason), OomKilled: e.OOMKilled, At: timeToProto(e.At), Message: text(e.Message)}
		if e.ExitCode != nil {
			m.Ended.ExitCode = wrapperspb.Int32(int32(*e.ExitCode))
		}
	}
	return m
}

// SessionFromProto is the session that the API has shown. Nil is the empty session.
func SessionFromProto(m *controlv1.Session) api.Session {
	s := api.Session{
		ID: m.GetSessionId(), ChatID: m.GetChatId(), AgentID: m.GetAgentId(),
		Template: m.GetTemplate(), Provider: m.GetProvider(), SandboxID: m.GetSandboxId(), Status: api.Status(m.GetStatus()),
		CreatedAt: timeFromProto(m.GetCreatedAt()), ExpiresAt: timeFromProto(m.GetExpiresAt()),
		VolumeHostPath: m.GetVolumeHostPath(), Metadata: m.GetMetadata(),
	}
	if e := m.GetEndpoint(); e != nil {
		s.Endpoint = &api.Endpoint{IP: e.GetIp(), Port: int(e.GetPort())}
	}
	if e := m.GetEnded(); e != nil {
		s.Ended = &api.End{Reason: api.Reason(e.GetReason()), OOMKilled: e.GetOomKilled(), At: timeFromProto(e.GetAt()), Message: e.GetMessage()}
		if code := e.GetExitCode(); code != nil {
			n := int(code.GetValue())
			s.Ended.ExitCode = &n
		}
	}
	return s
}

// timeToProto is nil for the zero time: there is none.
func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFromProto(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// text is what somebody else wrote, such as a sandbox's last words, made fit for the
// wire, which carries UTF-8 alone.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
