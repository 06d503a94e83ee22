package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// nastyEnv makes this test binary a plugin that does what none may. Its value is a path:
// when there is a file, the plugin has another schema.
const nastyEnv = "BERTH_E2E_NASTY"

func init() {
	if path := os.Getenv(nastyEnv); path != "" {
		if _, err := os.Stat(path); err == nil {
			sdk.Serve(nastyPlugin[flavoured]())
		}
		sdk.Serve(nastyPlugin[plain]())
	}
}

type plain struct {
	Colour string `berth:"colour,optional" default:"red"`
}

type flavoured struct {
	Flavour string `berth:"flavour,required" doc:"What it tastes of."`
}

type nastySandbox struct {
	Do string `berth:"do,optional"`
}

func nastyPlugin[C any]() provider.Plugin {
	return sdk.Define(sdk.Definition[C, nastySandbox]{Name: "nasty", Version: "1.0.0",
		Open: func(context.Context, sdk.Env, C) (provider.Provider, error) {
			b := mem.NewBackend("nasty")
			return &nasty{b.Provider(), b}, nil
		}})
}

// nasty creates as its template says.
type nasty struct {
	*mem.Provider
	b *mem.Backend
}

func (n *nasty) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	settings, err := sdk.Decode[nastySandbox](spec.Config)
	if err != nil {
		return provider.Created{}, err
	}
	spec.Config = nil
	switch settings.Do {
	case "panic":
		panic("out of hand")
	case "nothing":
		return provider.Created{}, nil
	case "block":
		select {}
	case "print":
		fmt.Println("a word on standard output")
	}
	made, err := n.Provider.Create(ctx, spec)
	switch settings.Do {
	case "nameless":
		made.Sandbox.ID = ""
	case "other":
		made.Sandbox.SessionID, made.Sandbox.Owner = uuid.NewString(), "somebody else"
	}
	return made, err
}

// What a plugin does in a call harms that call, and is explained: a panic, an answer that is
// none, a sandbox without an id or of somebody else, a call that never returns. The plugin,
// its other sandboxes and the other provider go on.
func TestPromise7_NastyAnswers(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	h := s.withNasty("panic", "nothing", "block", "print", "nameless", "other")
	good := h.create(host.CreateRequest{Template: "print", ChatID: uuid.NewString()})
	before := h.provider("nasty")
	for do, words := range map[string][]string{
		"panic":    {"the provider panicked: out of hand"},
		"nothing":  {"the plugin answered with the outcome OUTCOME_UNSPECIFIED"},
		"nameless": {"the provider's answer is refused: it has no sandbox id"},
		"other":    {"the provider's answer is refused: it is the sandbox of session"},
		"block":    {"create_timeout of 3s passed"},
	} {
		req := host.CreateRequest{Template: do, ChatID: uuid.NewString(), SessionID: uuid.NewString()}
		r, err := h.do(order{Verb: "create", Create: req})
		if err == nil {
			t.Errorf("%s: a session came of it: %+v", do, r.Session)
			continue
		}
		t.Logf("%s: %s: %s", do, r.Err.Code, r.Err.Text)
		wantWords(t, do, r.Err.Text, words...)
		await(t, patience, do+" has ended", func() bool {
			v := h.get(req.SessionID)
			return v.Status == host.StatusEnded && v.Ended.Reason == host.ReasonFailed
		})
	}
	await(t, patience, "both providers are ready", func() bool {
		return h.provider("nasty").State == "ready" && h.provider("mock").State == "ready"
	})
	if now := h.provider("nasty"); now.Generation != before.Generation {
		t.Errorf("the plugin is in generation %d, and was in %d", now.Generation, before.Generation)
	}
	if now := h.get(good.ID); now.Status != host.StatusRunning {
		t.Errorf("the other session: %+v", now)
	}
	h.delete(h.create(host.CreateRequest{Template: "on-mock", ChatID: uuid.NewString()}).ID)
	log := h.logs.String()
	wantWords(t, "the host's log", log, "the provider panicked", "out of hand", "nasty_test.go", "a word on standard output")
}

// withNasty starts a host with the nasty provider, a template for each of its ways, and a
// provider that is well.
func (s *site) withNasty(ways ...string) *remote {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	more := fmt.Sprintf("provider \"nasty\" {\n  command = %q\n  env = { %s = %q }\n  config {\n    colour = \"blue\"\n  }\n}\n", self, nastyEnv, s.path("other-schema"))
	for _, do := range ways {
		more += fmt.Sprintf("template %q {\n  provider = \"nasty\"\n  image = \"none\"\n  config {\n    do = %q\n  }\n}\n", do, do)
	}
	more += "provider \"mock\" {\n" + command(filepath.Join(world.bin, "berth-provider-mock")) + "}\n" + mockTemplate("on-mock", "mock")
	s.configure(settings{noDocker: true, lifecycle: map[string]string{"create_timeout": `"3s"`}, more: more})
	return s.start().ready()
}

// A plugin that has another schema in its next generation is misconfigured, with the place
// in the configuration that no longer fits; the other provider goes on.
func TestPromise7_NastySchemaChanges(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	h := s.withNasty("print")
	v := h.create(host.CreateRequest{Template: "print", ChatID: uuid.NewString()})
	s.write("other-schema", "")
	if err := syscall.Kill(h.provider("nasty").PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	await(t, patience, "the next generation is refused", func() bool { return h.provider("nasty").State == "misconfigured" })
	wantWords(t, "its reason", h.provider("nasty").Reason, "config.hcl:", "colour", "flavour")
	f := h.refused(host.CreateRequest{Template: "print", ChatID: uuid.NewString()})
	if f.Code != host.CodeUnavailable || !strings.Contains(f.Text, "colour") {
		t.Errorf("a create: %s: %s", f.Code, f.Text)
	}
	if now := h.get(v.ID); now.Status == host.StatusEnded {
		t.Errorf("its session has ended: %+v", now.Ended)
	}
	h.delete(h.create(host.CreateRequest{Template: "on-mock", ChatID: uuid.NewString()}).ID)
}
