package wire

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

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
	if _, err := c.Provider().Create(t.Context(), s); !errors.Is(err, provider.Exhausted) || provider.IsBadAnswer(err) {
		t.Errorf("17 MiB to the plugin: %.200v", err)
	}
	b.Put(provider.Sandbox{ID: "big", Owner: strings.Repeat("o", 17<<20)})
	if _, err := c.Provider().Get(t.Context(), provider.Ref{ID: "big"}); !errors.Is(err, provider.Exhausted) || !provider.IsBadAnswer(err) {
		t.Errorf("17 MiB from the plugin: %.200v", err)
	}
	if _, _, err := list(t.Context(), c.Provider()); !errors.Is(err, provider.Exhausted) || !provider.IsBadAnswer(err) {
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
