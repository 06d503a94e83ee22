package convert

import (
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// What an error may bring in gRPC, in bytes. gRPC sends an error in trailers, the message
// twice, and many clients take 8 KiB of trailers and break off at more. Connect sends it
// in the body.
const (
	trailerMessage = 2 << 10
	trailerSession = 1 << 10
)

// FitTrailers is the error, short enough for gRPC's trailers: of a long message the
// middle is left out, and of the detail a large session. Code and ids always stay.
func FitTrailers(err *connect.Error) *connect.Error {
	detail, message := detailOf(err), err.Message()
	if detail == nil {
		return err
	}
	large := proto.Size(detail.GetSession()) > trailerSession
	if len(message) <= trailerMessage && !large {
		return err
	}
	if len(message) > trailerMessage {
		const half = trailerMessage / 2
		message = message[:half] + " […] " + message[len(message)-half:]
	}
	if large {
		detail = &controlv1.Error{Code: detail.GetCode(), ChatId: detail.GetChatId(), SessionId: detail.GetSessionId()}
	}
	return withDetail(err.Code(), message, detail)
}
