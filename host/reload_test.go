package host_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// reparse reads another configuration of the same directory.
func reparse(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	cfg, diags := config.Parse([]byte(strings.ReplaceAll(text, "DIR", dir)), "test.hcl")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// reload takes over a configuration that is good.
func reload(t *testing.T, h *host.Host, dir, text string) {
	t.Helper()
	if err := h.Reload(within(t), reparse(t, dir, text)); err != nil {
		t.Fatal(err)
	}
}

// refuses checks that a configuration is refused for what it is.
func refuses(t *testing.T, h *host.Host, cfg *config.Config, code host.Code, words ...string) {
	t.Helper()
	err := h.Reload(within(t), cfg)
	if !errors.Is(err, code) {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

func request(template string) host.CreateRequest {
	return host.CreateRequest{Template: template, ChatID: uuid.NewString()}
}

func create(t *testing.T, h *host.Host, req host.CreateRequest) host.Session {
	t.Helper()
	s, err := h.Create(within(t), req)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lives checks that a session is as it was.
func lives(t *testing.T, h *host.Host, was host.Session) {
	t.Helper()
	now, err := h.Get(t.Context(), was.ID)
	if err != nil {
		t.Fatal(err)
	}
	if now.Status != host.StatusRunning || now.SandboxID != was.SandboxID || !now.ExpiresAt.Equal(was.ExpiresAt) {
		t.Errorf("the session is %+v, and was %+v", now, was)
	}
}

// ready runs a host on a linked backend and waits for it.
func ready(t *testing.T, text string, opts host.Options) (*host.Host, string) {
	t.Helper()
	cfg, dir := parse(t, text)
	h := run(t, cfg, opts)
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	return h, dir
}

const base = `
state_dir = "DIR/state"
provider "mem" {}
`

func withTemplate(name, more string) string {
	return "template \"" + name + "\" {\n provider = \"mem\"\n image = \"agent:1\"\n" + more + "\n}\n"
}

// Templates, limits and lifecycle hold for what is asked from then on. Nothing that is
// there ends for them, or gets another deadline.
func TestReloadOfTemplatesAndLimits(t *testing.T) {
	h, dir := ready(t, base+withTemplate("default", `ttl = "5m"`)+withTemplate("old", ""), linked(mem.NewBackend("memory")))
	first, second := create(t, h, request("default")), create(t, h, request("old"))

	reload(t, h, dir, base+`lifecycle {
		max_sessions = 3
		max_ttl      = "2m"
	}
	`+withTemplate("default", `ttl = "1m"`+"\nlimits {\n sessions = 1\n}")+withTemplate("new", `ttl = "90s"`))
	lives(t, h, first)
	lives(t, h, second)
	for template, want := range map[string]host.Code{"old": host.CodeNotFound, "default": host.CodeResourceExhausted} {
		if _, err := h.Create(within(t), request(template)); !errors.Is(err, want) {
			t.Errorf("a create of %q: %v, want %s", template, err, want)
		}
	}
	long := request("new")
	long.TTL = 3 * time.Minute
	if _, err := h.Create(within(t), long); !errors.Is(err, host.CodeInvalidArgument) || !strings.Contains(err.Error(), "max_ttl 2m") {
		t.Errorf("a TTL over the new limit: %v", err)
	}
	third := create(t, h, request("new"))
	if ttl := third.ExpiresAt.Sub(third.CreatedAt); ttl != 90*time.Second {
		t.Errorf("by the new template it lives %s", ttl)
	}
	if _, err := h.Create(within(t), request("new")); !errors.Is(err, host.CodeResourceExhausted) || !strings.Contains(err.Error(), "max_sessions") {
		t.Errorf("over the new limit: %v", err)
	}
	// Extensions go by the new limits, and one that was promised more keeps it.
	if _, err := h.Extend(within(t), first.ID, host.ExtendRequest{By: time.Second}); !errors.Is(err, host.CodeInvalidArgument) || !strings.Contains(err.Error(), "max_ttl") {
		t.Errorf("an extension over the new limit: %v", err)
	}
	if now, err := h.Extend(within(t), third.ID, host.ExtendRequest{By: 20 * time.Second}); err != nil || now.ExpiresAt.Sub(third.ExpiresAt) != 20*time.Second {
		t.Errorf("an extension within it: %+v, %v", now, err)
	}
	lives(t, h, first)
	if err := h.Delete(within(t), second.ID); err != nil {
		t.Errorf("a session of a template that is gone: %v", err)
	}
	reload(t, h, dir, base+withTemplate("default", ""))
	if now, err := h.Extend(within(t), first.ID, host.ExtendRequest{By: time.Hour}); err != nil || now.ExpiresAt.Sub(first.ExpiresAt) != time.Hour {
		t.Errorf("an extension by the wider limit: %+v, %v", now, err)
	}
}

func TestReloadOfVolumeRoots(t *testing.T) {
	h, dir := ready(t, base+withTemplate("default", ""), linked(mem.NewBackend("memory")))
	for _, name := range []string{"a/mine", "b/mine"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, roots := range []string{`["DIR/a"]`, `["DIR/b"]`, `["DIR/a", "DIR/b"]`, `[]`} {
		reload(t, h, dir, "volume_roots = "+roots+"\n"+base+withTemplate("default", ""))
		for _, root := range []string{"a", "b"} {
			req := request("default")
			req.Volume = filepath.Join(dir, root, "mine")
			_, err := h.Create(within(t), req)
			if allowed := strings.Contains(roots, "DIR/"+root); allowed && err != nil || !allowed && !errors.Is(err, host.CodeInvalidArgument) {
				t.Errorf("with volume_roots %s, a volume in %s: %v", roots, root, err)
			}
		}
	}
}

// stops is a plugin that tells which grace each stop has.
type stops struct {
	provider.Plugin
	graces chan time.Duration
}

func (s stops) Provider() provider.Provider { return stopped{s.Plugin.Provider(), s.graces} }

type stopped struct {
	provider.Provider
	graces chan time.Duration
}

func (s stopped) Stop(ctx context.Context, req provider.StopRequest) (provider.Stopped, error) {
	s.graces <- req.Grace
	return s.Provider.Stop(ctx, req)
}

// A session of before is reaped at the deadline it had, with the stop_grace of now.
func TestReloadOfStopGrace(t *testing.T) {
	graces := make(chan time.Duration, 10)
	h, dir := ready(t, base+"lifecycle {\n stop_grace = \"9s\"\n}\n"+withTemplate("default", `ttl = "2s"`),
		host.Options{Providers: map[string]provider.Plugin{"mem": stops{mem.Plugin(mem.NewBackend("memory")), graces}}})
	s := create(t, h, request("default"))
	reload(t, h, dir, base+"lifecycle {\n stop_grace = \"1s\"\n}\n"+withTemplate("default", `ttl = "1h"`))
	lives(t, h, s)
	select {
	case grace := <-graces:
		if grace != time.Second || time.Now().Before(s.ExpiresAt) {
			t.Errorf("stopped with %s, %s before its deadline", grace, time.Until(s.ExpiresAt))
		}
	case <-within(t).Done():
		t.Fatal("it was not reaped")
	}
	await(t, func() bool { now, err := h.Get(t.Context(), s.ID); return err == nil && now.Status == host.StatusEnded })
	if now, _ := h.Get(t.Context(), s.ID); now.Ended.Reason != host.ReasonExpired || !now.ExpiresAt.Equal(s.ExpiresAt) {
		t.Errorf("it ended %+v", now.Ended)
	}
}

// warnings keeps what is logged at that level and above.
type warnings struct {
	mu   *sync.Mutex
	list *[]string
}

func (w warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (w warnings) WithAttrs([]slog.Attr) slog.Handler           { return w }
func (w warnings) WithGroup(string) slog.Handler                { return w }

func (w warnings) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.list = append(*w.list, text)
	return nil
}

func (w warnings) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(*w.list, "\n")
}

// What needs a restart has no effect, and the log says so; the rest is taken over.
func TestReloadOfWhatNeedsARestart(t *testing.T) {
	w := warnings{new(sync.Mutex), new([]string)}
	opts := linked(mem.NewBackend("memory"))
	opts.Logger = slog.New(w)
	was := base + `owner = "the-same"
		control { socket = "DIR/b.sock" }
		metrics { address = "127.0.0.1:0" }
	`
	h, dir := ready(t, was+withTemplate("default", ""), opts)
	address := h.MetricsAddress()
	reload(t, h, dir, was+withTemplate("default", "")) // the same again says nothing
	if got := w.text(); got != "" {
		t.Errorf("nothing has changed, and it warns: %s", got)
	}
	reload(t, h, dir, `
		state_dir = "DIR/other"
		owner     = "another"
		control { socket = "DIR/other.sock" }
		provider "mem" {}
	`+withTemplate("new", ""))
	for _, setting := range []string{"state_dir", "owner", "control", "metrics"} {
		if !strings.Contains(w.text(), "setting="+setting) {
			t.Errorf("the log does not warn of %s:\n%s", setting, w.text())
		}
	}
	if h.Owner() != "the-same" || h.MetricsAddress() != address {
		t.Errorf("owner %s, metrics at %s", h.Owner(), h.MetricsAddress())
	}
	if status, _ := fetch(t, h, "/readyz"); status != 200 {
		t.Errorf("/readyz: %d", status)
	}
	for _, name := range []string{"other", "other.sock"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	create(t, h, request("new"))
	// The next one is compared with what holds, not with what was asked.
	before := len(strings.Split(w.text(), "\n"))
	reload(t, h, dir, was+withTemplate("default", ""))
	if now := len(strings.Split(w.text(), "\n")); now != before {
		t.Errorf("back as it was, and it warns: %s", w.text())
	}
}

// A configuration that is refused changes nothing, in no part of it.
func TestReloadThatIsRefusedChangesNothing(t *testing.T) {
	b := mem.NewBackend("memory")
	h, dir := ready(t, base+withTemplate("default", `ttl = "5m"`), linked(b))
	s := create(t, h, request("default"))
	other := withTemplate("new", "") // would hold if anything did
	for name, c := range map[string]struct {
		text  string
		code  host.Code
		words []string
	}{
		"the config of a linked plugin": {strings.Replace(base, `"mem" {}`, "\"mem\" {\n config {\n ip = \"10.0.0.9\"\n}\n}", 1) + other,
			host.CodeInvalidArgument, []string{`"mem"`, "with a restart alone"}},
		"refused by the plugin": {base + withTemplate("new", "config {\n reject = \"no such colour\"\n}"),
			host.CodeInvalidArgument, []string{"no such colour", "test.hcl:"}},
		"unknown in the schema": {base + withTemplate("new", "config {\n colour = \"red\"\n}"),
			host.CodeInvalidArgument, []string{"colour", "test.hcl:"}},
		"a new plugin that is not there": {base + other + "provider \"more\" {\n command = \"DIR/missing\"\n}\n",
			host.CodeInvalidArgument, []string{`"more"`, "DIR/missing"}},
		"a linked gone": {`state_dir = "DIR/state"`, host.CodeUnsupported, []string{`"mem"`, "linked", "keep its block"}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range c.words {
				c.words[i] = strings.ReplaceAll(c.words[i], "DIR", dir)
			}
			refuses(t, h, reparse(t, dir, c.text), c.code, c.words...)
			lives(t, h, s)
			if list := h.Providers(); len(list) != 1 || list[0].State != "ready" || list[0].Generation != 1 {
				t.Errorf("providers: %+v", list)
			}
			if _, err := h.Create(within(t), request("new")); !errors.Is(err, host.CodeNotFound) {
				t.Errorf("a template of the refused configuration: %v", err)
			}
			n := create(t, h, request("default"))
			if err := h.Delete(within(t), n.ID); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Reload(ctx, reparse(t, dir, base+other)); err == nil {
		t.Error("a reload whose caller has left has taken something over")
	}
	lives(t, h, s)
}

// Reloads at the same time come one after another, and each is whole.
func TestReloadsAtTheSameTime(t *testing.T) {
	h, dir := ready(t, base+withTemplate("t0", ""), linked(mem.NewBackend("memory")))
	ctx := within(t)
	var work sync.WaitGroup
	for i := range 16 {
		cfg := reparse(t, dir, base+withTemplate(fmt.Sprintf("t%d", i), "")+withTemplate("always", ""))
		work.Go(func() {
			if err := h.Reload(ctx, cfg); err != nil {
				t.Error(err)
			}
			if _, err := h.Create(ctx, request("always")); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	held := 0
	for i := range 16 {
		_, err := h.Create(ctx, request(fmt.Sprintf("t%d", i)))
		switch {
		case err == nil:
			held++
		case !errors.Is(err, host.CodeNotFound):
			t.Error(err)
		}
	}
	if held != 1 {
		t.Errorf("%d of the configurations hold", held)
	}
}

// Before Run a reload waits for it; after it, and after Close, it is refused.
func TestReloadOfAHostThatDoesNotRun(t *testing.T) {
	cfg, dir := parse(t, base+withTemplate("default", ""))
	h, err := host.New(cfg, linked(mem.NewBackend("memory")))
	if err != nil {
		t.Fatal(err)
	}
	early := make(chan error, 1)
	next := reparse(t, dir, base+withTemplate("new", ""))
	go func() { early <- h.Reload(within(t), next) }()
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := h.Reload(soon, next); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before Run: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	if err := <-early; err != nil {
		t.Errorf("that began before Run: %v", err)
	}
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	create(t, h, request("new"))
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	refuses(t, h, next, host.CodeUnavailable, "does not run")

	closed, err := host.New(cfg, linked(mem.NewBackend("memory")))
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	refuses(t, closed, next, host.CodeUnavailable, "does not run")
}
