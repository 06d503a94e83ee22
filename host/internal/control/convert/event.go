package convert

import (
	"github.com/berth-dev/berth/host/internal/api"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// EventToProto is the event as the API sends it.
func EventToProto(ev api.Event) *controlv1.WatchSessionsResponse {
	m := &controlv1.WatchSessionsResponse{Seq: ev.Seq, Type: string(ev.Type)}
	switch ev.Type {
	case api.EventSnapshot, api.EventChanged, api.EventPruned:
		m.Session = SessionToProto(ev.Session)
	}
	if p := ev.Progress; p != nil {
		m.Progress = &controlv1.Progress{Provider: p.Provider, Image: text(p.Image), Message: text(p.Message)}
	}
	return m
}

// EventFromProto is the event that the API has sent.
func EventFromProto(m *controlv1.WatchSessionsResponse) api.Event {
	ev := api.Event{Seq: m.GetSeq(), Type: api.EventType(m.GetType()), Session: SessionFromProto(m.GetSession())}
	if p := m.GetProgress(); p != nil {
		ev.Progress = &api.Progress{Provider: p.GetProvider(), Image: p.GetImage(), Message: p.GetMessage()}
	}
	return ev
}

// LogChunkToProto is a piece of output as the API sends it. Data is shared.
func LogChunkToProto(c api.LogChunk) *controlv1.GetLogsResponse {
	return &controlv1.GetLogsResponse{Stderr: c.Stderr, Data: c.Data}
}

// LogChunkFromProto is a piece of output that the API has sent. Data is shared.
func LogChunkFromProto(m *controlv1.GetLogsResponse) api.LogChunk {
	return api.LogChunk{Stderr: m.GetStderr(), Data: m.GetData()}
}
