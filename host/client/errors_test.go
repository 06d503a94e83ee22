package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// failing is a host all of whose verbs fail.
type failing struct {
	control.Host
	err *host.Error
}

func (f failing) fail(op string) error { e := *f.err; e.Op = op; return &e }

func (f failing) Create(context.Context, host.CreateRequest) (host.Session, error) {
	return host.Session{}, f.fail("create")
}
func (f failing) Ensure(context.Context, host.CreateRequest) (host.Session, error) {
	return host.Session{}, f.fail("ensure")
}
func (f failing) Get(context.Context, string) (host.Session, error) {
	return host.Session{}, f.fail("get")
}
func (f failing) ListPage(context.Context, host.Filter, host.Page) ([]host.Session, *host.Cursor, error) {
	return nil, nil, f.fail("list")
}
func (f failing) Extend(context.Context, string, host.ExtendRequest) (host.Session, error) {
	return host.Session{}, f.fail("extend")
}
func (f failing) Stop(context.Context, string) (host.Session, error) {
	return host.Session{}, f.fail("stop")
}
func (f failing) Delete(context.Context, string) error { return f.fail("delete") }
func (f failing) Watch(context.Context) iter.Seq[host.Event] {
	return func(func(host.Event) bool) {}
}
func (f failing) Logs(context.Context, string, host.LogsRequest, func(host.LogChunk) error) error {
	return f.fail("logs")
}

// calls is every verb that has an error, by its name.
func calls(ctx context.Context, c *client.Client) map[string]func() error {
	return map[string]func() error{
		"create": func() error { _, err := c.Create(ctx, client.CreateRequest{}); return err },
		"ensure": func() error { _, err := c.Ensure(ctx, client.CreateRequest{}); return err },
		"get":    func() error { _, err := c.Get(ctx, chat); return err },
		"list":   func() error { _, err := c.List(ctx, client.Filter{}); return err },
		"extend": func() error { _, err := c.Extend(ctx, chat, client.ExtendRequest{}); return err },
		"stop":   func() error { _, err := c.Stop(ctx, chat); return err },
		"delete": func() error { return c.Delete(ctx, chat) },
		"logs": func() error {
			return c.Logs(ctx, chat, client.LogsRequest{}, func(client.LogChunk) error { return nil })
		},
	}
}

// Each code comes through each verb, with ids, session and the very text.
func TestCodes(t *testing.T) {
	for _, code := range []client.Code{
		client.CodeSandboxStartFailed, client.CodeSandboxStopFailed, client.CodeSandboxListFailed, client.CodeNotFound,
		client.CodeConflict, client.CodeResourceExhausted, client.CodeUnavailable, client.CodeInvalidArgument,
		client.CodeUnsupported, client.CodeInternal,
	} {
		t.Run(string(code), func(t *testing.T) {
			f := failing{err: &host.Error{Code: code, ChatID: "the chat", SessionID: "the session", Message: "what is wrong",
				Session: &host.Session{ID: "the session"}, Err: errors.New("the cause")}}
			for op, call := range calls(within(t), open(t, serveFake(t, f))) {
				err := call()
				var e *client.Error
				if !errors.As(err, &e) || !errors.Is(err, code) || e.Code != code {
					t.Errorf("%s: %v", op, err)
					continue
				}
				if e.Error() != f.fail(op).Error() || e.Op != op || e.Message != "what is wrong: the cause" ||
					e.ChatID != "the chat" || e.SessionID != "the session" || e.Session == nil || e.Session.ID != "the session" {
					t.Errorf("%s: %q %+v", op, e.Error(), e)
				}
			}
		})
	}
}

// Codes as a real host gives them.
func TestRealCodes(t *testing.T) {
	w := newWorld(t)
	w.host()
	c := open(t, w.socket)
	ctx := within(t)
	s := create(t, c)
	want := func(name string, err error, code client.Code) {
		t.Helper()
		if !errors.Is(err, code) {
			t.Errorf("%s: %v, want %s", name, err, code)
		}
	}
	ask := func(template string) error {
		_, err := c.Create(ctx, client.CreateRequest{Template: template, ChatID: chat})
		return err
	}
	want("a negative TTL", func() error {
		_, err := c.Create(ctx, client.CreateRequest{Template: "default", ChatID: chat, TTL: -time.Second})
		return err
	}(), client.CodeInvalidArgument)
	want("no such template", ask("other"), client.CodeNotFound)
	if err := ask("few"); err != nil {
		t.Fatal(err)
	}
	want("over the limit", ask("few"), client.CodeResourceExhausted)
	w.backend.Fail(mem.Create, mem.Fault{Times: 1, Err: provider.Internal})
	want("a sandbox that does not start", ask("default"), client.CodeSandboxStartFailed)
	w.backend.Fail(mem.Stop, mem.Fault{Times: 1, Err: provider.Internal})
	_, err := c.Stop(ctx, s.ID)
	want("a sandbox that does not stop", err, client.CodeSandboxStopFailed)
	w.backend.Fail(mem.Logs, mem.Fault{Times: 1, Err: provider.Unsupported})
	want("no logs", calls(ctx, c)["logs"](), client.CodeNotFound)
	want("no logs", c.Logs(ctx, s.ID, client.LogsRequest{}, func(client.LogChunk) error { return nil }), client.CodeUnsupported)
	w.backend.SetAvailable(false)
	want("a backend that is away", ask("default"), client.CodeUnavailable)
	w.backend.SetAvailable(true)
}

// What the wire can't carry is refused by name, not by an internal error.
func TestUnsendable(t *testing.T) {
	c := open(t, "/nowhere")
	for field, req := range map[string]client.CreateRequest{
		"volume":   {Volume: "/srv/\xff"},
		"agent_id": {AgentID: "\xff"},
		"metadata": {Metadata: map[string]string{"k": "\xff"}},
	} {
		_, err := c.Ensure(within(t), req)
		if !errors.Is(err, client.CodeInvalidArgument) || !strings.HasPrefix(err.Error(), "ensure: "+field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, tail := range []int{1 << 31, -1<<31 - 1} {
		err := c.Logs(within(t), chat, client.LogsRequest{Tail: tail}, nil)
		if !errors.Is(err, client.CodeInvalidArgument) || !strings.HasPrefix(err.Error(), "logs: tail: ") {
			t.Errorf("tail %d: %v", tail, err)
		}
	}
}

// No host: one line that says where, why and what to do.
func TestNoHost(t *testing.T) {
	missing := filepath.Join(shortDir(t), "berth.sock")
	dead := filepath.Join(shortDir(t), "berth.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	long := "/" + strings.Repeat("x", 120)
	for socket, want := range map[string]struct {
		why  string
		base error
	}{
		missing: {": no such file or directory; start one with: berth serve --config config.hcl", syscall.ENOENT},
		dead:    {": connection refused; start one with: berth serve --config config.hcl", syscall.ECONNREFUSED},
		long:    {": the path is 121 bytes long, which is more than the system allows for a socket; give the one that the host listens on", syscall.EINVAL},
	} {
		for op, call := range calls(within(t), open(t, socket)) {
			err := call()
			var e *client.Error
			if text := op + ": no host answers at " + socket + want.why; !errors.As(err, &e) || err.Error() != text {
				t.Errorf("got  %v\nwant %s", err, text)
			}
			if !errors.Is(err, client.CodeUnavailable) || !errors.Is(err, want.base) {
				t.Errorf("%s: %#v", op, err)
			}
		}
	}
	c := open(t, "", client.WithBaseURL("http://127.0.0.1:1/one"))
	if _, err := c.Get(within(t), chat); !errors.Is(err, client.CodeUnavailable) || !strings.Contains(err.Error(), "http://127.0.0.1:1/one: connection refused") {
		t.Errorf("a URL where nobody is: %v", err)
	}
}

// stuck is a host that does not answer.
type stuck struct {
	control.Host
	began chan struct{}
	ended chan error
}

func (h stuck) Get(ctx context.Context, _ string) (host.Session, error) {
	close(h.began)
	<-ctx.Done()
	h.ended <- context.Cause(ctx)
	return host.Session{}, context.Cause(ctx)
}

func (h stuck) Logs(ctx context.Context, id string, _ host.LogsRequest, _ func(host.LogChunk) error) error {
	_, err := h.Get(ctx, id)
	return err
}

func TestContextEnds(t *testing.T) {
	cause := errors.New("nobody waits any more")
	for _, op := range []string{"get", "logs"} {
		t.Run(op+" canceled", func(t *testing.T) {
			h := stuck{began: make(chan struct{}), ended: make(chan error, 1)}
			ctx, cancel := context.WithCancelCause(within(t))
			go func() { <-h.began; cancel(cause) }()
			err := calls(ctx, open(t, serveFake(t, h)))[op]()
			if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || !errors.Is(err, client.CodeUnavailable) {
				t.Errorf("%v", err)
			}
			if text := op + ": context canceled: nobody waits any more"; err.Error() != text {
				t.Errorf("got %q, want %q", err, text)
			}
			<-h.ended // the host hears of it
		})
		t.Run(op+" timed out", func(t *testing.T) {
			h := stuck{began: make(chan struct{}), ended: make(chan error, 1)}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := calls(ctx, open(t, serveFake(t, h)))[op]()
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, client.CodeUnavailable) || err.Error() != op+": context deadline exceeded" {
				t.Errorf("%v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, "/nowhere").Get(ctx, chat); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that had ended: %v", err)
	}
}

// A host that dies in a call: the outcome is unknown, and nobody was canceled.
func TestConnectionBreaks(t *testing.T) {
	for _, op := range []string{"get", "logs"} {
		h := stuck{began: make(chan struct{}), ended: make(chan error, 1)}
		socket := filepath.Join(shortDir(t), "b.sock")
		s := control.New(h, control.Options{})
		defer s.Close()
		kill := serve(t, socket, s.Handler())
		go func() { <-h.began; kill() }()
		err := calls(within(t), open(t, socket))[op]()
		want := fmt.Sprintf("%s: the connection to %s broke: ", op, socket)
		if !errors.Is(err, client.CodeUnavailable) || errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
		<-h.ended
	}
}

func TestClose(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	h := stuck{began: make(chan struct{}), ended: make(chan error, 1)}
	socket := filepath.Join(shortDir(t), "b.sock")
	s := control.New(h, control.Options{})
	defer s.Close()
	kill := serve(t, socket, s.Handler())
	c := client.New(socket)
	go func() { <-h.began; c.Close(); c.Close() }()
	want := "get: the client is closed"
	for range 2 { // under way, and later
		if _, err := c.Get(within(t), chat); !errors.Is(err, client.CodeUnavailable) || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	<-h.ended
	for range c.Watch(within(t)) {
		t.Error("a closed client watches")
	}
	kill()
	goleak.VerifyNone(t, ignore)
}
