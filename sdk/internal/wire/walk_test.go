package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// TestEveryFieldOfTheContract calls every verb over a connection, with requests and
// answers whose every field is filled. It fails for each field that does not arrive, for
// each struct of the contract that no call carried, and for each field of a message that
// was never set.
func TestEveryFieldOfTheContract(t *testing.T) {
	f := &filler{t: t, seen: map[string]bool{}}
	sent := &messages{fields: map[protoreflect.FullName]bool{}}
	there := &echo{f: f}
	watch := []grpc.ServerOption{grpc.UnaryInterceptor(sent.unary), grpc.StreamInterceptor(sent.stream)}
	here, _ := connect(t, DialOptions(nil), append(ServerOptions(nil), watch...), func(s *grpc.Server) {
		RegisterServer(s, there, slog.New(slog.DiscardHandler))
	})
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	// answered and asked compare what arrived here and there.
	answered := func(got any, err error) {
		t.Helper()
		ok(err)
		survived(t, fmt.Sprintf("%T", got), got, there.answer)
	}
	asked := func(req any) {
		t.Helper()
		survived(t, fmt.Sprintf("%T", req), there.request, req)
	}

	info, err := here.Info(ctx)
	answered(info, err)
	schemas, err := here.Schemas(ctx)
	answered(schemas, err)
	validate := fill[provider.ValidateRequest](f)
	diagnostics, err := here.Validate(ctx, validate)
	answered(diagnostics, err)
	asked(validate)
	configure := fill[provider.ConfigureRequest](f)
	configured, err := here.Configure(ctx, configure)
	answered(configured, err)
	asked(configure)
	survived(t, "Capabilities", provider.CapabilitiesOf(here.Provider()), configured.Capabilities)
	ok(here.Drain(ctx))

	p := here.Provider()
	prepare := fill[provider.PrepareRequest](f)
	prepared, err := p.Prepare(ctx, prepare)
	answered(prepared, err)
	asked(prepare)
	for _, o := range []provider.Outcome{provider.OutcomeCreated, provider.OutcomeAdopted} {
		there.outcome = o
		spec := fill[provider.Spec](f)
		created, err := p.Create(ctx, spec)
		answered(created, err)
		asked(spec)
	}
	ref := fill[provider.Ref](f)
	sandbox, err := p.Get(ctx, ref)
	answered(sandbox, err)
	asked(ref)
	var listed []provider.Sandbox
	summary, err := p.List(ctx, func(s provider.Sandbox) error { listed = append(listed, s); return nil })
	answered(summary, err)
	survived(t, "listed", listed, there.yielded)
	for _, o := range []provider.Outcome{provider.OutcomeStopped, provider.OutcomeNotFound} {
		there.outcome = o
		stop := fill[provider.StopRequest](f)
		stopped, err := p.Stop(ctx, stop)
		answered(stopped, err)
		asked(stop)
	}
	for _, o := range []provider.Outcome{provider.OutcomeDeleted, provider.OutcomeNotFound} {
		there.outcome = o
		del := fill[provider.DeleteRequest](f)
		deleted, err := p.Delete(ctx, del)
		answered(deleted, err)
		asked(del)
	}
	health, err := p.Health(ctx)
	answered(health, err)
	identity, err := p.Identity(ctx)
	answered(identity, err)

	logs := fill[provider.LogsRequest](f)
	var chunks []provider.LogChunk
	ok(p.(provider.LogReader).Logs(ctx, logs, func(c provider.LogChunk) error { chunks = append(chunks, c); return nil }))
	asked(logs)
	survived(t, "chunks", chunks, there.yielded)

	var events []provider.Event
	ready := false
	err = p.(provider.EventSource).Events(ctx, func() { ready = true }, func(e provider.Event) error { events = append(events, e); return nil })
	survived(t, "events", events, there.yielded)
	if !ready {
		t.Error("ready was not told")
	}
	var failure *provider.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	want := *there.failure
	var cause *provider.Error
	if !errors.As(failure.Err, &cause) {
		t.Errorf("the cause is %v", failure.Err)
	} else {
		survived(t, "cause", *cause, *want.Err.(*provider.Error))
	}
	got := *failure
	got.Err, want.Err = nil, nil
	survived(t, "error", got, want)
	there.broken = fmt.Errorf("wrapped: %w", errors.New("cause"))
	if _, err := here.Info(ctx); err == nil || err.Error() != there.broken.Error() {
		t.Errorf("got %v, want %v", err, there.broken)
	}

	for _, name := range structs(t) {
		if !f.seen[name] {
			t.Errorf("provider.%s was in no call: convert it, and walk it here", name)
		}
	}
	for name := range fieldsOf(pb.File_provider_v1_provider_proto.Messages()) {
		if !sent.fields[name] {
			t.Errorf("the conversion never sets %s", name)
		}
	}
}

// fieldsOf names every field of the messages.
func fieldsOf(list protoreflect.MessageDescriptors) map[protoreflect.FullName]bool {
	all := map[protoreflect.FullName]bool{}
	for i := range list.Len() {
		m := list.Get(i)
		if m.IsMapEntry() {
			continue
		}
		for j := range m.Fields().Len() {
			all[m.Fields().Get(j).FullName()] = true
		}
		maps.Copy(all, fieldsOf(m.Messages()))
	}
	return all
}

// messages remembers which fields the messages had that passed it.
type messages struct {
	mu     sync.Mutex
	fields map[protoreflect.FullName]bool
}

func (m *messages) saw(x any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if msg, ok := x.(proto.Message); ok && msg.ProtoReflect().IsValid() {
		m.walk(msg.ProtoReflect())
	}
}

func (m *messages) walk(msg protoreflect.Message) {
	msg.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		m.fields[fd.FullName()] = true
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { m.walk(v.Message()); return true })
			}
		case fd.IsList() && fd.Message() != nil:
			for i := range v.List().Len() {
				m.walk(v.List().Get(i).Message())
			}
		case fd.Message() != nil:
			m.walk(v.Message())
		}
		return true
	})
}

func (m *messages) failed(err error) {
	for _, d := range status.Convert(err).Details() {
		m.saw(d)
	}
}

func (m *messages) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	m.saw(req)
	answer, err := handler(ctx, req)
	m.saw(answer)
	m.failed(err)
	return answer, err
}

func (m *messages) stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := handler(srv, &watchedStream{s, m})
	m.failed(err)
	return err
}

type watchedStream struct {
	grpc.ServerStream
	m *messages
}

func (w *watchedStream) SendMsg(x any) error { w.m.saw(x); return w.ServerStream.SendMsg(x) }

func (w *watchedStream) RecvMsg(x any) error {
	err := w.ServerStream.RecvMsg(x)
	w.m.saw(x)
	return err
}
