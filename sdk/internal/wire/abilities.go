package wire

import (
	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// maxChunk is the most bytes of a log in one message.
const maxChunk = 64 << 10

func logsToProto(r provider.LogsRequest) *pb.LogsRequest {
	return &pb.LogsRequest{Id: r.ID, Tail: int64(r.Tail), Since: timestamp(r.Since), Follow: r.Follow}
}

func logsFromProto(m *pb.LogsRequest) provider.LogsRequest {
	return provider.LogsRequest{ID: m.GetId(), Tail: int(m.GetTail()), Since: instant(m.GetSince()), Follow: m.GetFollow()}
}

func chunkToProto(c provider.LogChunk) *pb.LogsResponse {
	return &pb.LogsResponse{Stderr: c.Stderr, Data: c.Data}
}

func chunkFromProto(m *pb.LogsResponse) provider.LogChunk {
	return provider.LogChunk{Stderr: m.GetStderr(), Data: m.GetData()}
}

func eventToProto(e provider.Event) *pb.Event {
	return &pb.Event{SandboxId: utf8(e.SandboxID), SessionId: utf8(e.SessionID), Kind: eventKinds.number(e.Kind),
		At: timestamp(e.At), Image: utf8(e.Image), Message: utf8(e.Message)}
}

// eventFromProto leaves the kind empty where it does not know it.
func eventFromProto(m *pb.Event) provider.Event {
	return provider.Event{SandboxID: m.GetSandboxId(), SessionID: m.GetSessionId(), Kind: eventKinds.name(m.GetKind()),
		At: instant(m.GetAt()), Image: m.GetImage(), Message: m.GetMessage()}
}
