package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// connect serves what register registers on a unix socket and returns a client of it.
func connect(t *testing.T, dial []grpc.DialOption, serve []grpc.ServerOption, register func(*grpc.Server)) (*Client, *grpc.Server) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(serve...)
	register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	cc, err := grpc.NewClient("unix:"+socket, append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cc.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return NewClient(cc), server
}

// logged is a log that is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open is a configured plugin over mem and over a connection.
func open(t *testing.T, b *mem.Backend) (*Client, *logged) {
	t.Helper()
	log := &logged{}
	c, _ := connect(t, DialOptions(nil), ServerOptions(nil), func(s *grpc.Server) {
		RegisterServer(s, mem.Plugin(b), slog.New(slog.NewTextHandler(log, nil)))
	})
	if _, err := c.Configure(t.Context(), provider.ConfigureRequest{Owner: "owner"}); err != nil {
		t.Fatal(err)
	}
	return c, log
}

func spec(n int) provider.Spec {
	return provider.Spec{Name: fmt.Sprintf("berth-owner-%d", n), Owner: "owner", SessionID: fmt.Sprintf("session-%d", n),
		RequestHash: "hash", Digest: "sha256:1", Port: 8000, ExpiresAt: time.Unix(1_800_000_000, 0).UTC()}
}

func create(t *testing.T, p provider.Provider, n int) provider.Created {
	t.Helper()
	c, err := p.Create(t.Context(), spec(n))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fence(n int) provider.Fence {
	return provider.Fence{Owner: "owner", SessionID: fmt.Sprintf("session-%d", n)}
}

func list(ctx context.Context, p provider.Provider) (all []provider.Sandbox, s provider.ListSummary, err error) {
	s, err = p.List(ctx, func(x provider.Sandbox) error { all = append(all, x); return nil })
	return all, s, err
}

// TestSameAsLocal makes the same calls through the connection and without it.
func TestSameAsLocal(t *testing.T) {
	b := mem.NewBackend("backend")
	remote, _ := open(t, b)
	local := mem.Plugin(b)
	ctx := t.Context()

	same := func(what string, l any, lerr error, r any, rerr error) {
		t.Helper()
		if lerr != nil || rerr != nil || !reflect.DeepEqual(l, r) {
			t.Errorf("%s: local %+v, %v; remote %+v, %v", what, l, lerr, r, rerr)
		}
	}
	li, lerr := local.Info(ctx)
	ri, rerr := remote.Info(ctx)
	same("info", li, lerr, ri, rerr)
	ls, lerr := local.Schemas(ctx)
	rs, rerr := remote.Schemas(ctx)
	same("schemas", ls, lerr, rs, rerr)
	req := provider.ValidateRequest{Config: []byte(`{"reject":"no"}`), Sandboxes: map[string][]byte{"a": []byte(`{"reject":"nor this"}`)}}
	ld, lerr := local.Validate(ctx, req)
	rd, rerr := remote.Validate(ctx, req)
	same("validate", ld, lerr, rd, rerr)
	if len(rd) != 2 || rd[1].Template != "a" {
		t.Errorf("diagnostics %+v", rd)
	}

	p, q := remote.Provider(), b.Provider()
	if got := provider.CapabilitiesOf(p); !reflect.DeepEqual(got, provider.CapabilitiesOf(q)) {
		t.Errorf("capabilities %v", got)
	}
	prep, err := p.Prepare(ctx, provider.PrepareRequest{Image: "image"})
	if err != nil || prep.Digest != mem.Digest("image") {
		t.Errorf("prepared %+v, %v", prep, err)
	}
	one := create(t, p, 1)
	if one.Outcome != provider.OutcomeCreated || one.Identity != "backend" || one.Sandbox.Endpoint.Port != 8000 {
		t.Errorf("created %+v", one)
	}
	if again := create(t, p, 1); again.Outcome != provider.OutcomeAdopted || again.Sandbox.ID != one.Sandbox.ID {
		t.Errorf("created again %+v", again)
	}
	two := create(t, p, 2)
	b.PutUnreadable(provider.Unreadable{ID: "bad", Owner: "owner", Reason: "expires_at: \"soon\" is no time"})
	b.Exit(two.Sandbox.ID, 3, true)
	for _, id := range []string{one.Sandbox.ID, two.Sandbox.ID, "bad"} {
		l, lerr := q.Get(ctx, provider.Ref{ID: id})
		r, rerr := p.Get(ctx, provider.Ref{ID: id})
		same("get "+id, l, lerr, r, rerr)
	}
	la, lsum, lerr := list(ctx, q)
	ra, rsum, rerr := list(ctx, p)
	same("list", la, lerr, ra, rerr)
	same("summary", lsum, lerr, rsum, rerr)
	if len(ra) != 2 || rsum.Total != 3 || len(rsum.Unreadable) != 1 {
		t.Errorf("list %d, %+v", len(ra), rsum)
	}
	lh, lerr := q.Health(ctx)
	rh, rerr := p.Health(ctx)
	same("health", lh, lerr, rh, rerr)
	id, err := p.Identity(ctx)
	same("identity", "backend", nil, id, err)

	if s, err := p.Stop(ctx, provider.StopRequest{ID: one.Sandbox.ID, Fence: fence(1), Grace: time.Second}); err != nil || s.Outcome != provider.OutcomeStopped || s.Exit == nil || s.Exit.Code != 143 {
		t.Errorf("stopped %+v, %v", s, err)
	}
	if s, err := p.Stop(ctx, provider.StopRequest{ID: "none", Fence: fence(1)}); err != nil || s.Outcome != provider.OutcomeNotFound {
		t.Errorf("stopped %+v, %v", s, err)
	}
	if _, err := p.Delete(ctx, provider.DeleteRequest{ID: one.Sandbox.ID, Fence: fence(2)}); !errors.Is(err, provider.Conflict) {
		t.Errorf("deleted another session's: %v", err)
	}
	if d, err := p.Delete(ctx, provider.DeleteRequest{ID: one.Sandbox.ID, Fence: fence(1)}); err != nil || d.Outcome != provider.OutcomeDeleted {
		t.Errorf("deleted %+v, %v", d, err)
	}
	if _, err := p.Get(ctx, provider.Ref{ID: one.Sandbox.ID}); !errors.Is(err, provider.NotFound) {
		t.Errorf("got %v", err)
	}
	if err := remote.Drain(ctx); err != nil {
		t.Error(err)
	}
	if _, err := p.Get(ctx, provider.Ref{ID: "x"}); !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "draining") {
		t.Errorf("after drain %v", err)
	}
}

func TestBeforeConfigure(t *testing.T) {
	c, _ := connect(t, DialOptions(nil), ServerOptions(nil), func(s *grpc.Server) {
		RegisterServer(s, mem.Plugin(mem.NewBackend("b")), slog.New(slog.DiscardHandler))
	})
	if _, err := c.Provider().Health(t.Context()); !errors.Is(err, provider.Unavailable) {
		t.Error(err)
	}
	if caps := provider.CapabilitiesOf(c.Provider()); len(caps) != 0 {
		t.Error(caps)
	}
}

func TestErrors(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	p := c.Provider()
	leaf := errors.New("dial unix: no such file")
	deep := &provider.Error{Class: provider.Exhausted, Op: "daemon", Message: "no room", LogTail: "last\xff words\n"}
	for i, err := range []error{
		&provider.Error{Class: provider.NotFound, Op: "get", ID: "id", Code: "c", Message: "m", LogTail: "tail", Err: leaf},
		&provider.Error{Class: provider.Conflict, Op: "get", Err: fmt.Errorf("outer: %w", deep)},
		fmt.Errorf("wrapped: %w", &provider.Error{Class: provider.Unsupported, Op: "x", Err: leaf}),
		fmt.Errorf("wrapped: %w", provider.InvalidArgument),
		provider.Exhausted,
		errors.Join(leaf, deep),
		&provider.Error{Class: provider.Internal, Op: "x", Err: errors.Join(deep, provider.NotFound)},
		errors.New("plain"),
		&provider.Error{Op: "classless"},
		&provider.Error{Class: provider.Unavailable},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b.Fail(mem.Get, mem.Fault{Err: err, Times: 1})
			_, got := p.Get(t.Context(), provider.Ref{ID: "x"})
			if provider.ClassOf(got) != provider.ClassOf(err) {
				t.Errorf("class %q, want %q", provider.ClassOf(got), provider.ClassOf(err))
			}
			if want := strings.ToValidUTF8(err.Error(), "\uFFFD"); got.Error() != want {
				t.Errorf("text %q, want %q", got, want)
			}
			for _, class := range provider.Classes() {
				want := errors.Is(err, class) || provider.ClassOf(err) == class
				if errors.Is(got, class) != want {
					t.Errorf("errors.Is(%s) = %v, want %v", class, !want, want)
				}
			}
			if want := strings.ToValidUTF8(provider.LogTailOf(err), "\uFFFD"); provider.LogTailOf(got) != want {
				t.Errorf("log tail %q, want %q", provider.LogTailOf(got), want)
			}
			var e *provider.Error
			if !errors.As(got, &e) {
				t.Errorf("%T is no provider.Error", got)
			}
		})
	}
}

func TestHugeError(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	err := error(provider.Conflict)
	for range 100 {
		err = &provider.Error{Class: provider.Conflict, Op: "create", Message: strings.Repeat("é", 9000), Err: err}
	}
	err = &provider.Error{Class: provider.Conflict, Code: "sandbox_start_failed", LogTail: strings.Repeat("x", 1<<20) + "the end", Err: err}
	b.Fail(mem.Get, mem.Fault{Err: err})
	_, got := c.Provider().Get(t.Context(), provider.Ref{ID: "x"})
	var e *provider.Error
	if !errors.As(got, &e) || e.Class != provider.Conflict || e.Code != "sandbox_start_failed" || !strings.HasSuffix(e.LogTail, "xthe end") {
		t.Fatalf("%.200v", got)
	}
}

func TestContexts(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	p := c.Provider()
	b.Fail(mem.Get, mem.Fault{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Get(ctx, provider.Ref{ID: "x"}); !errors.Is(err, provider.Canceled) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_ = b.AwaitCalls(t.Context(), mem.Get, 2)
		cancel()
	}()
	if _, err := p.Get(ctx, provider.Ref{ID: "x"}); !errors.Is(err, provider.Canceled) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: %v", err)
	}
	// A provider's own deadline is not the caller's.
	b.Clear()
	b.Fail(mem.Get, mem.Fault{Err: &provider.Error{Class: provider.Unavailable, Op: "get", Err: context.DeadlineExceeded}})
	if _, err := p.Get(t.Context(), provider.Ref{ID: "x"}); !errors.Is(err, provider.Unavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("provider's deadline: %v", err)
	}
}

func TestPanic(t *testing.T) {
	b := mem.NewBackend("b")
	c, log := open(t, b)
	for _, verb := range []mem.Verb{mem.Get, mem.List} {
		b.Fail(verb, mem.Fault{Panic: "boom", Times: 1})
	}
	_, err := c.Provider().Get(t.Context(), provider.Ref{ID: "x"})
	if !errors.Is(err, provider.Internal) || !strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
	if _, _, err := list(t.Context(), c.Provider()); !errors.Is(err, provider.Internal) || !strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "fault.go") {
		t.Errorf("no stack in the log:\n%s", log)
	}
	if _, err := c.Provider().Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServerGone(t *testing.T) {
	b := mem.NewBackend("b")
	c, server := connect(t, DialOptions(nil), ServerOptions(nil), func(s *grpc.Server) {
		RegisterServer(s, mem.Plugin(b), slog.New(slog.DiscardHandler))
	})
	if _, err := c.Configure(t.Context(), provider.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	b.Fail(mem.Create, mem.Fault{Hang: true})
	go func() {
		_ = b.AwaitCalls(t.Context(), mem.Create, 1)
		server.Stop()
	}()
	if _, err := c.Provider().Create(t.Context(), spec(1)); !errors.Is(err, provider.Unavailable) {
		t.Errorf("in flight: %v", err)
	}
	if _, err := c.Provider().Get(t.Context(), provider.Ref{ID: "x"}); !errors.Is(err, provider.Unavailable) {
		t.Errorf("after: %v", err)
	}
}

func TestSizes(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	s := spec(1)
	s.AgentID = strings.Repeat("a", 15<<20)
	if made, err := c.Provider().Create(t.Context(), s); err != nil || len(made.Sandbox.AgentID) != 15<<20 {
		t.Errorf("15 MiB: %v", err)
	}
	s = spec(2)
	s.AgentID = strings.Repeat("a", 17<<20)
	if _, err := c.Provider().Create(t.Context(), s); !errors.Is(err, provider.Exhausted) {
		t.Errorf("17 MiB to the plugin: %.200v", err)
	}
	b.Put(provider.Sandbox{ID: "big", Owner: strings.Repeat("o", 17<<20)})
	if _, err := c.Provider().Get(t.Context(), provider.Ref{ID: "big"}); !errors.Is(err, provider.Exhausted) {
		t.Errorf("17 MiB from the plugin: %.200v", err)
	}
	if _, _, err := list(t.Context(), c.Provider()); !errors.Is(err, provider.Exhausted) {
		t.Errorf("17 MiB in a list: %.200v", err)
	}
	if _, err := c.Provider().Health(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadText(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	b.Put(provider.Sandbox{ID: "bad", SessionID: "se\xffss"})
	b.Put(provider.Sandbox{ID: "good", SessionID: "session"})
	all, _, err := list(t.Context(), c.Provider())
	if err != nil || len(all) != 2 || all[0].SessionID != "se\uFFFDss" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestListStops(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	for n := range 1000 {
		create(t, c.Provider(), n)
	}
	enough := errors.New("enough")
	n := 0
	_, err := c.Provider().List(t.Context(), func(provider.Sandbox) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if err != enough || n != 3 {
		t.Errorf("%v after %d", err, n)
	}
	b.Fail(mem.List, mem.Fault{Cut: 10})
	if all, _, err := list(t.Context(), c.Provider()); !errors.Is(err, provider.Unavailable) || len(all) != 10 {
		t.Errorf("%v after %d", err, len(all))
	}
}

func TestEvents(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	events, readied := make(chan provider.Event, 10), make(chan struct{})
	over := make(chan error, 1)
	run := func(ctx context.Context) {
		readied = make(chan struct{})
		ready := readied
		go func() {
			over <- c.Provider().(provider.EventSource).Events(ctx, func() { close(ready) }, func(e provider.Event) error { events <- e; return nil })
		}()
		<-ready
	}
	ctx, cancel := context.WithCancel(t.Context())
	run(ctx)
	made := create(t, c.Provider(), 1)
	if e := <-events; e.Kind != provider.EventStarted || e.SandboxID != made.Sandbox.ID || e.SessionID != "session-1" || e.At.IsZero() {
		t.Errorf("%+v", e)
	}
	b.Exit(made.Sandbox.ID, 1, false)
	if e := <-events; e.Kind != provider.EventExited {
		t.Errorf("%+v", e)
	}
	cancel()
	if err := <-over; !errors.Is(err, provider.Canceled) {
		t.Errorf("cancel: %v", err)
	}
	run(t.Context())
	b.BreakEvents()
	if err := <-over; !errors.Is(err, provider.Unavailable) {
		t.Errorf("break: %v", err)
	}
	run(t.Context())
	if err := c.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-over; !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "draining") {
		t.Errorf("drain: %v", err)
	}
}

func TestLogs(t *testing.T) {
	b := mem.NewBackend("b")
	c, _ := open(t, b)
	made := create(t, c.Provider(), 1)
	big := strings.Repeat("x", 150<<10) + "\n"
	b.Print(made.Sandbox.ID, "one\ntwo\n", false)
	b.Print(made.Sandbox.ID, big, true)
	read := func(req provider.LogsRequest) (all string, largest int, err error) {
		req.ID = made.Sandbox.ID
		err = c.Provider().(provider.LogReader).Logs(t.Context(), req, func(c provider.LogChunk) error {
			all += string(c.Data)
			largest = max(largest, len(c.Data))
			return nil
		})
		return all, largest, err
	}
	if all, largest, err := read(provider.LogsRequest{}); err != nil || all != "one\ntwo\n"+big || largest > maxChunk {
		t.Errorf("%d bytes, at most %d: %v", len(all), largest, err)
	}
	if all, _, err := read(provider.LogsRequest{Tail: 2}); err != nil || all != "two\n"+big {
		t.Errorf("tail: %d bytes: %v", len(all), err)
	}
	b.Exit(made.Sandbox.ID, 0, false)
	if all, _, err := read(provider.LogsRequest{Follow: true}); err != nil || all != "one\ntwo\n"+big {
		t.Errorf("follow: %d bytes: %v", len(all), err)
	}
	made.Sandbox.ID = "none"
	if _, _, err := read(provider.LogsRequest{}); !errors.Is(err, provider.NotFound) {
		t.Error(err)
	}
}

// liar is a plugin of another make, that keeps no rule.
type liar struct {
	pb.UnimplementedPluginServer
	pb.UnimplementedProviderServer
	list func(grpc.ServerStreamingServer[pb.ListResponse]) error
	get  func() (*pb.GetResponse, error)
}

func (l *liar) List(_ *pb.ListRequest, s grpc.ServerStreamingServer[pb.ListResponse]) error {
	return l.list(s)
}

func (l *liar) Get(context.Context, *pb.GetRequest) (*pb.GetResponse, error) { return l.get() }

func (l *liar) Create(context.Context, *pb.CreateRequest) (*pb.CreateResponse, error) {
	return &pb.CreateResponse{Outcome: 77, Sandbox: &pb.Sandbox{Id: "x"}}, nil
}

func (l *liar) Delete(context.Context, *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	return &pb.DeleteResponse{Outcome: pb.Outcome_OUTCOME_CREATED}, nil
}

func (l *liar) GetSchema(context.Context, *pb.GetSchemaRequest) (*pb.GetSchemaResponse, error) {
	return &pb.GetSchemaResponse{Provider: &pb.Schema{Attributes: []*pb.Attribute{{Name: "odd", Type: 55}}}}, nil
}

func TestLies(t *testing.T) {
	l := &liar{}
	c, _ := connect(t, DialOptions(nil), ServerOptions(nil), func(s *grpc.Server) {
		pb.RegisterPluginServer(s, l)
		pb.RegisterProviderServer(s, l)
	})
	p, ctx := c.Provider(), t.Context()
	sandbox := &pb.ListResponse{Item: &pb.ListResponse_Sandbox{Sandbox: &pb.Sandbox{Id: "x", State: 99}}}
	complete := &pb.ListResponse{Item: &pb.ListResponse_Complete{Complete: &pb.ListComplete{Total: 1}}}

	expect := func(what string, err error, class provider.Class, words string) {
		t.Helper()
		if !errors.Is(err, class) || provider.ClassOf(err) != class || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v; want %s with %q", what, err, class, words)
		}
	}
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error { return s.Send(sandbox) }
	all, _, err := list(ctx, p)
	expect("no complete", err, provider.Unavailable, "cut off")
	if len(all) != 1 || all[0].State != provider.StateUnknown {
		t.Errorf("%+v", all)
	}
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error { return nil }
	_, _, err = list(ctx, p)
	expect("nothing at all", err, provider.Unavailable, "cut off")
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error {
		return errors.Join(s.Send(complete), s.Send(sandbox))
	}
	_, _, err = list(ctx, p)
	expect("more after complete", err, provider.Internal, "went on")
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error {
		return errors.Join(s.Send(complete), status.Error(codes.Unknown, "hm"))
	}
	_, _, err = list(ctx, p)
	expect("error after complete", err, provider.Internal, "Unknown")
	l.list = func(s grpc.ServerStreamingServer[pb.ListResponse]) error { return s.Send(&pb.ListResponse{}) }
	_, _, err = list(ctx, p)
	expect("empty item", err, provider.Internal, "neither")

	_, err = p.Create(ctx, spec(1))
	expect("outcome", err, provider.Internal, "77")
	_, err = p.Delete(ctx, provider.DeleteRequest{ID: "x"})
	expect("outcome of another verb", err, provider.Internal, "OUTCOME_CREATED")
	_, err = c.Schemas(ctx)
	expect("attribute type", err, provider.Internal, `"odd" has the type 55`)
	_, err = p.Stop(ctx, provider.StopRequest{ID: "x"})
	expect("no such call", err, provider.Unsupported, "does not know")

	for _, x := range []struct {
		code  codes.Code
		class provider.Class
	}{
		{codes.NotFound, provider.Internal}, {codes.Unknown, provider.Internal}, {codes.AlreadyExists, provider.Internal},
		{codes.Unavailable, provider.Unavailable}, {codes.InvalidArgument, provider.InvalidArgument},
		{codes.Unimplemented, provider.Unsupported}, {codes.ResourceExhausted, provider.Exhausted},
		{codes.DeadlineExceeded, provider.Canceled},
	} {
		l.get = func() (*pb.GetResponse, error) { return nil, status.Error(x.code, "words") }
		_, err = p.Get(ctx, provider.Ref{ID: "x"})
		expect(x.code.String(), err, x.class, "words")
	}
	l.get = func() (*pb.GetResponse, error) { return &pb.GetResponse{}, nil }
	_, err = p.Get(ctx, provider.Ref{ID: "x"})
	expect("no sandbox", err, provider.Internal, "without a sandbox")
	l.get = func() (*pb.GetResponse, error) {
		s, err := status.New(codes.NotFound, "m").WithDetails(&pb.ErrorDetail{Class: 42, Message: "gone"})
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	}
	_, err = p.Get(ctx, provider.Ref{ID: "x"})
	expect("unknown class", err, provider.Internal, "class 42")
}

func TestTraces(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tp := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	b := mem.NewBackend("b")
	c, _ := connect(t, DialOptions(tp), ServerOptions(tp), func(s *grpc.Server) {
		RegisterServer(s, mem.Plugin(b), slog.New(slog.DiscardHandler))
	})
	if _, err := c.Configure(t.Context(), provider.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Provider().Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, root := tp.Tracer("test").Start(t.Context(), "root")
	create(t, provider.Provider(withCtx{c.Provider(), ctx}), 1)
	root.End()
	// The server's span ends a moment after the client's answer.
	deadline := time.After(5 * time.Second)
	for n := 0; n < 5; {
		if n = len(spans.Ended()); n < 5 {
			select {
			case <-deadline:
				t.Fatalf("%d spans", n)
			case <-time.After(time.Millisecond):
			}
		}
	}
	in := 0
	for _, s := range spans.Ended() {
		if strings.Contains(s.Name(), "Health") {
			t.Errorf("a span for %s", s.Name())
		}
		if s.Name() == "berth.provider.v1.Provider/Create" && s.SpanContext().TraceID() == root.SpanContext().TraceID() {
			in++
		}
	}
	if in != 2 {
		t.Errorf("%d spans of Create in the caller's trace", in)
	}
}

type withCtx struct {
	provider.Provider
	ctx context.Context
}

func (w withCtx) Create(_ context.Context, s provider.Spec) (provider.Created, error) {
	return w.Provider.Create(w.ctx, s)
}
