package control

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// undoTime bounds how long a connection's end waits for a session that nobody will use to
// be deleted.
const undoTime = 30 * time.Second

// sessions is SessionService.
type sessions struct{ *Server }

var _ controlv1connect.SessionServiceHandler = sessions{}

// wanted is what create and ensure ask for.
type wanted interface {
	GetTemplate() string
	GetChatId() string
	GetSessionId() string
	GetAgentId() string
	GetVolume() string
	GetTtl() string
	GetMetadata() map[string]string
}

func createRequest(op string, m wanted) (api.CreateRequest, error) {
	ttl, err := duration("ttl", m.GetTtl(), "leave it out for the template's")
	if err != nil {
		return api.CreateRequest{}, refused(op, m.GetChatId(), m.GetSessionId(), err)
	}
	return api.CreateRequest{
		SessionID: m.GetSessionId(), ChatID: m.GetChatId(), AgentID: m.GetAgentId(),
		Template: m.GetTemplate(), Volume: m.GetVolume(), TTL: ttl, Metadata: m.GetMetadata(),
	}, nil
}

func (s sessions) CreateSession(ctx context.Context, req *connect.Request[controlv1.CreateSessionRequest]) (*connect.Response[controlv1.CreateSessionResponse], error) {
	want, err := createRequest("create", req.Msg)
	if err != nil {
		return nil, err
	}
	session, err := s.host.Create(ctx, want)
	if err == nil && want.SessionID == "" { // nobody else knows the id
		ifLost(ctx, func() { s.undo(session) })
	}
	return answer(session, err, func(m *controlv1.Session) *controlv1.CreateSessionResponse {
		return &controlv1.CreateSessionResponse{Session: m}
	})
}

// undo deletes a session whose id its caller did not get to know.
func (s sessions) undo(session api.Session) {
	ctx, cancel := context.WithTimeout(s.life, undoTime)
	defer cancel()
	if err := s.host.Delete(ctx, session.ID); err != nil {
		s.log.Warn("a caller left before it was answered, and its session lives until its deadline", "session_id", session.ID, "chat_id", session.ChatID, "err", err)
	}
}

func (s sessions) EnsureSession(ctx context.Context, req *connect.Request[controlv1.EnsureSessionRequest]) (*connect.Response[controlv1.EnsureSessionResponse], error) {
	want, err := createRequest("ensure", req.Msg)
	if err != nil {
		return nil, err
	}
	session, err := s.host.Ensure(ctx, want)
	return answer(session, err, func(m *controlv1.Session) *controlv1.EnsureSessionResponse {
		return &controlv1.EnsureSessionResponse{Session: m}
	})
}

func (s sessions) GetSession(ctx context.Context, req *connect.Request[controlv1.GetSessionRequest]) (*connect.Response[controlv1.GetSessionResponse], error) {
	session, err := s.host.Get(ctx, req.Msg.GetSessionId())
	return answer(session, err, func(m *controlv1.Session) *controlv1.GetSessionResponse {
		return &controlv1.GetSessionResponse{Session: m}
	})
}

func (s sessions) ListSessions(ctx context.Context, req *connect.Request[controlv1.ListSessionsRequest]) (*connect.Response[controlv1.ListSessionsResponse], error) {
	m := req.Msg
	filter := api.Filter{ChatID: m.GetChatId(), AgentID: m.GetAgentId(), Template: m.GetTemplate(), Status: api.Status(m.GetStatus()), All: m.GetAll()}
	page, err := pageOf(filter, m.GetPageSize(), m.GetPageToken())
	if err != nil {
		return nil, refused("list", m.GetChatId(), "", err)
	}
	list, next, err := s.host.ListPage(ctx, filter, page)
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListSessionsResponse{Sessions: make([]*controlv1.Session, len(list))}
	for i, session := range list {
		out.Sessions[i] = convert.SessionToProto(session)
	}
	if next != nil {
		out.NextPageToken = pageToken(filter, *next)
	}
	return connect.NewResponse(out), nil
}

func (s sessions) ExtendSession(ctx context.Context, req *connect.Request[controlv1.ExtendSessionRequest]) (*connect.Response[controlv1.ExtendSessionResponse], error) {
	want, err := extendRequest(req.Msg)
	if err != nil {
		return nil, refused("extend", "", req.Msg.GetSessionId(), err)
	}
	session, err := s.host.Extend(ctx, req.Msg.GetSessionId(), want)
	return answer(session, err, func(m *controlv1.Session) *controlv1.ExtendSessionResponse {
		return &controlv1.ExtendSessionResponse{Session: m}
	})
}

func extendRequest(m *controlv1.ExtendSessionRequest) (r api.ExtendRequest, err error) {
	if r.By, err = duration("by", m.GetBy(), "leave it out when until is given"); err != nil {
		return r, err
	}
	if r.Until, err = instant("until", m.GetUntil()); err != nil {
		return r, err
	}
	r.Seen, err = instant("seen_expires_at", m.GetSeenExpiresAt())
	return r, err
}

func (s sessions) StopSession(ctx context.Context, req *connect.Request[controlv1.StopSessionRequest]) (*connect.Response[controlv1.StopSessionResponse], error) {
	session, err := s.host.Stop(ctx, req.Msg.GetSessionId())
	return answer(session, err, func(m *controlv1.Session) *controlv1.StopSessionResponse {
		return &controlv1.StopSessionResponse{Session: m}
	})
}

func (s sessions) DeleteSession(ctx context.Context, req *connect.Request[controlv1.DeleteSessionRequest]) (*connect.Response[controlv1.DeleteSessionResponse], error) {
	if err := s.host.Delete(ctx, req.Msg.GetSessionId()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&controlv1.DeleteSessionResponse{}), nil
}

// answer is what a verb answers that has made or changed a session.
func answer[M any](s api.Session, err error, wrap func(*controlv1.Session) *M) (*connect.Response[M], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(wrap(convert.SessionToProto(s))), nil
}
