package suite

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/berth-dev/berth/sdk/internal/wire"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// unfinished is a stream of a plugin of another make, that never says "complete".
type unfinished struct{ grpc.ServerStream }

func (u unfinished) SendMsg(m any) error {
	msg := m.(proto.Message).ProtoReflect()
	if f := msg.Descriptor().Fields().ByName("complete"); f != nil && msg.Has(f) {
		return nil
	}
	return u.ServerStream.SendMsg(m)
}

// TestBrokenListWithoutComplete: a plugin whose lists just end fails the suite. The SDK
// can't make one, so this is made on the wire.
func TestBrokenListWithoutComplete(t *testing.T) {
	b := mem.NewBackend("b")
	s := Subject{kind: wired, open: func(context.Context) (*generation, error) {
		listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			return nil, err
		}
		server := grpc.NewServer(append(wire.ServerOptions(nil), grpc.StreamInterceptor(
			func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
				return handle(srv, unfinished{stream})
			}))...)
		wire.RegisterServer(server, mem.Plugin(b), slog.New(slog.DiscardHandler))
		go func() { _ = server.Serve(listener) }() // until Stop
		conn, err := grpc.NewClient("unix:"+listener.Addr().String(),
			append(wire.DialOptions(nil), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			return nil, err
		}
		return &generation{plugin: wire.NewClient(conn), end: func(context.Context) error {
			server.Stop()
			return conn.Close()
		}}, nil
	}}
	var told bytes.Buffer
	r := NewReport(t.Context(), &told)
	r.Run("wire", func(t T) { Check(t, s, Options{Only: []string{"list is complete"}}) })
	r.Finish()
	if !r.Failed() || !strings.Contains(told.String(), "broken promise: List tells every sandbox once") || !strings.Contains(told.String(), "the list was cut off") {
		t.Errorf("the suite says:\n%s", &told)
	}
}
