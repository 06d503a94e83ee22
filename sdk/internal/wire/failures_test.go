package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

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
