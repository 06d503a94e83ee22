package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// hup writes the n-th configuration, sends SIGHUP, and waits until it holds.
func (d *deployed) hup(s *site, n int) {
	d.t.Helper()
	s.configure(alternating(s, n))
	const taken = "the configuration was taken over"
	before := strings.Count(d.logs.String(), taken)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		d.t.Fatal(err)
	}
	await(d.t, patience, fmt.Sprintf("configuration %d holds", n), func() bool { return strings.Count(d.logs.String(), taken) > before })
}

// alternating differs in every part that a reload may change, from one to the next.
func alternating(s *site, n int) settings {
	c := settings{
		provider:  fmt.Sprintf("env = { OTEL_RELOAD = \"%d\" }", n),
		lifecycle: map[string]string{"max_sessions": fmt.Sprint(500 + n), "stop_grace": fmt.Sprintf(`"%ds"`, 1+n%2)},
		template:  map[string]string{"env": fmt.Sprintf("{ RELOAD = \"%d\" }", n)},
	}
	if n%2 == 1 {
		c.more = "provider \"mock\" {}\n" + mockTemplate("on-mock", "mock") + s.variant("odd", nil, readyTCP)
	}
	return c
}

// SIGHUP under load: whoever creates, extends and deletes meanwhile does not notice it, no
// sandbox is lost, none is left, and every deadline is kept.
func TestReloadUnderLoad(t *testing.T) { onEach(t, reloadUnderLoad) }

func reloadUnderLoad(t *testing.T, on kind) {
	const reloads = 10
	s := on.site(t)
	s.configure(alternating(s, 0))
	d := s.serve(world.bin)
	kept := []host.Session{d.made(chat()), d.made(chat())}
	short := chat()
	short.TTL = 12 * time.Second
	expiring := d.made(short)

	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	var calls, rounds atomic.Int64
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				if err := d.oneRound(t.Context(), &calls); err != nil {
					t.Error(err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	served := func(n int64) bool { return rounds.Load() >= n || t.Failed() }
	await(t, patience, "the clients are at work", func() bool { return served(2) })
	for n := 1; n <= reloads; n++ {
		before := rounds.Load()
		d.hup(s, n)
		await(t, patience, "the clients go on", func() bool { return served(before + 4) })
		if v := d.made(chat()); !strings.Contains(ask(t, v, "/env"), fmt.Sprintf(`"RELOAD=%d"`, n)) {
			t.Errorf("after reload %d a sandbox has the environment %v", n, ask(t, v, "/env"))
		} else if err := d.Delete(t.Context(), v.ID); err != nil {
			t.Error(err)
		}
	}
	stop()
	work.Wait()
	t.Logf("%d rounds, %d calls, %d reloads", rounds.Load(), calls.Load(), reloads)

	for _, v := range kept {
		d.asIs(v)
		ask(t, v, "/")
	}
	await(t, time.Until(expiring.ExpiresAt)+lateness, "the short one has ended", func() bool { return d.now(expiring.ID).Status == host.StatusEnded })
	if e := d.now(expiring.ID); e.Ended.Reason != host.ReasonExpired || e.Ended.At.Before(expiring.ExpiresAt) || !e.ExpiresAt.Equal(expiring.ExpiresAt) {
		t.Errorf("the short one ended %+v, its deadline was %s", *e.Ended, expiring.ExpiresAt)
	}
	all, err := d.List(t.Context(), host.Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Ended != nil && v.Ended.Reason != host.ReasonDeleted && v.ID != expiring.ID {
			t.Errorf("session %s ended %+v", v.ID, *v.Ended)
		}
	}
	if n := len(s.sandboxes()); n != len(kept) {
		t.Errorf("%d sandboxes, want %d", n, len(kept))
	}
	list, err := d.Providers(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != on.name || list[0].State != "ready" || list[0].Generation != 1+reloads {
		t.Errorf("providers: %+v, %v", list, err)
	}
	if log := d.logs.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("errors in the log:\n%s", grep(log, "level=ERROR"))
	}
}

// oneRound is what a client does for one chat. Each call has to work.
func (d *deployed) oneRound(ctx context.Context, calls *atomic.Int64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	calls.Add(5)
	req := chat()
	v, err := d.Create(ctx, req)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	was := v.ExpiresAt
	if v, err = d.Extend(ctx, v.ID, host.ExtendRequest{By: time.Minute, Seen: was}); err != nil {
		return fmt.Errorf("extend: %w", err)
	}
	if v.ExpiresAt.Sub(was) != time.Minute {
		return fmt.Errorf("extended by %s", v.ExpiresAt.Sub(was))
	}
	if again, err := d.Ensure(ctx, req); err != nil || again.ID != v.ID || again.SandboxID != v.SandboxID {
		return fmt.Errorf("ensure answers %+v, %w", again, err)
	}
	if _, err := try(v, "/healthz"); err != nil {
		return fmt.Errorf("its agent: %w", err)
	}
	if now, err := d.Get(ctx, v.ID); err != nil || now.Status != host.StatusRunning || now.ExpiresAt.Before(v.ExpiresAt) {
		return fmt.Errorf("get answers %+v, %w", now, err)
	}
	if err := d.Delete(ctx, v.ID); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// A file that is refused at SIGHUP changes nothing, and the log says what is wrong with it.
func TestReloadOfABadFile(t *testing.T) { onEach(t, reloadOfABadFile) }

func reloadOfABadFile(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	d := s.serve(world.bin)
	v := d.made(chat())
	for name, c := range map[string]struct {
		change settings
		words  []string
	}{
		"syntax":  {settings{more: "template {{{"}, []string{"config.hcl:", "the configuration is refused"}},
		"unknown": {settings{template: map[string]string{"colour": `"red"`}}, []string{"colour", "the configuration is refused"}},
		"schema":  {settings{provider: "config {\n pull = \"sometimes\"\n}"}, []string{"config"}},
		"image":   {settings{template: map[string]string{"network": `"host"`}}, []string{s.on.differs().badNetwork}},
	} {
		const refused = "the configuration was not taken over"
		before := strings.Count(d.logs.String(), refused)
		s.configure(c.change)
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		await(t, patience, name+" is refused", func() bool { return strings.Count(d.logs.String(), refused) > before })
		wantWords(t, "the log", d.logs.String(), c.words...)
		d.asIs(v)
		other := d.made(chat())
		if err := d.Delete(t.Context(), other.ID); err != nil {
			t.Error(err)
		}
	}
	if list, err := d.Providers(t.Context()); err != nil || len(list) != 1 || list[0].Generation != 1 || list[0].State != "ready" {
		t.Errorf("providers: %+v, %v", list, err)
	}
}

// grep keeps the lines with a word.
func grep(text, word string) string {
	var kept []string
	for _, l := range strings.Split(text, "\n") {
		if strings.Contains(l, word) {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n")
}
