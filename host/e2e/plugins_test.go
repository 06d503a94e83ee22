package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// badPlugin is a provider block whose plugin can't be had, and the words that say so.
type badPlugin struct {
	name  string
	block func(s *site) string
	words []string
}

var badPlugins = []badPlugin{
	{"missing", func(s *site) string { return command(s.path("nowhere")) }, []string{"there is no file", "nowhere", "plugin_dir"}},
	{"checksum", func(s *site) string {
		return command(filepath.Join(world.bin, "berth-provider-mock")) + "  sha256 = " + quote(strings.Repeat("0", 64)) + "\n"
	}, []string{"the sha256 of", strings.Repeat("0", 64), "correct `sha256`"}},
	{"unexecutable", func(s *site) string {
		s.write("unexecutable", "#!/bin/sh\n")
		return command(s.path("unexecutable"))
	}, []string{"has no execute permission", "chmod +x"}},
	{"none", func(s *site) string { return s.script("none", "echo what is this >&2; exit 3") },
		[]string{"it is no Berth plugin", "exited with code 3", "what is this"}},
	{"protocol", func(s *site) string { return s.script("protocol", "echo '1|99|unix|/nowhere|grpc|'; exec sleep 5") },
		[]string{"speaks protocol version 99, this host speaks version 1"}},
	{"chatter", func(s *site) string {
		return s.script("chatter", "i=0; while [ $i -lt 80 ]; do echo chatter $i; i=$((i+1)); done; exec sleep 5")
	}, []string{"printed 64 lines on stdout and no handshake among them", "chatter 0"}},
}

func command(path string) string { return "  command = " + quote(path) + "\n" }

// script makes a program of a few lines and names it as a plugin.
func (s *site) script(name, lines string) string {
	s.t.Helper()
	s.write(name, "#!/bin/sh\n"+lines+"\n")
	if err := os.Chmod(s.path(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return command(s.path(name))
}

// withBadPlugins is a configuration with all of them beside two that work: one of which
// says a word before its handshake.
func (s *site) withBadPlugins() settings {
	var c settings
	for _, b := range badPlugins {
		c.more += "provider " + quote(b.name) + " {\n" + b.block(s) + "}\n"
		c.more += mockTemplate("on-"+b.name, b.name)
	}
	c.more += "provider \"mock\" {\n" + s.script("mock", "echo good morning\nexec "+world.bin+"/berth-provider-mock") + "}\n"
	c.more += mockTemplate("on-mock", "mock")
	return c
}

func mockTemplate(name, provider string) string {
	return "template " + quote(name) + " {\n  provider = " + quote(provider) + "\n  image = \"none\"\n}\n"
}

// A plugin that can't be had takes down its own provider alone, and says why wherever an
// operator looks: in the state of the provider, in /readyz, in the log, in the answer to a
// create, and in `berth providers`.
func TestPromise7_BadPluginsHarmNobodyElse(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	if world.away == nil {
		t.Cleanup(func() { removeOwned(t, world.api, s.owner) })
	}
	s.configure(s.withBadPlugins())
	h := s.start()
	await(t, patience, "each bad plugin has failed", func() bool {
		for _, b := range badPlugins {
			if h.provider(b.name).Reason == "" {
				return false
			}
		}
		return h.provider("mock").State == "ready"
	})

	status, body, err := page(h.url("/readyz"))
	if err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d %v", status, err)
	}
	var readyz struct {
		Ready     bool
		Providers []struct{ Name, State, Reason string }
	}
	if err := json.Unmarshal([]byte(body), &readyz); err != nil || readyz.Ready {
		t.Errorf("/readyz: %v %s", err, body)
	}
	reasons := map[string]string{}
	for _, p := range readyz.Providers {
		reasons[p.Name] = p.Reason
	}
	if status, body, err := page(h.url("/healthz")); err != nil || status != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %d %q %v", status, body, err)
	}
	log := h.logs.String()
	for _, b := range badPlugins {
		p := h.provider(b.name)
		if p.State == "ready" || p.State == "degraded" {
			t.Errorf("%s is %s", b.name, p.State)
		}
		wantWords(t, b.name+"'s reason", p.Reason, b.words...)
		wantWords(t, b.name+" in /readyz", reasons[b.name], b.words...)
		for _, w := range b.words {
			wantWords(t, "the log", log, strings.ReplaceAll(w, `"`, `\"`))
		}
		f := h.refused(host.CreateRequest{Template: "on-" + b.name, ChatID: uuid.NewString()})
		if f.Code != host.CodeUnavailable {
			t.Errorf("a create on %s: %s", b.name, f.Code)
		}
		wantWords(t, "the create's error", f.Text, b.words...)
	}

	v := h.create(host.CreateRequest{Template: "on-mock", ChatID: uuid.NewString()})
	if now := h.get(v.ID); now.Status != host.StatusRunning {
		t.Errorf("on the mock provider: %+v", now)
	}
	h.delete(v.ID)
	if world.away == nil {
		await(t, patience, "the Docker provider is ready", func() bool { return h.provider("docker").State == "ready" })
		ask(t, h.create(chat()), "/")
	}
	wantProvidersCommand(t, s)
}

// wantProvidersCommand asks `berth providers`, as a table and as JSON, without the running
// host's lock.
func wantProvidersCommand(t *testing.T, s *site) {
	t.Helper()
	var list []struct{ Name, State, Reason string }
	out := s.berth(1, "providers", "-o", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := map[string]string{}
	for _, p := range list {
		got[p.Name] = p.State + ": " + p.Reason
	}
	table := s.berth(1, "providers")
	for _, b := range badPlugins {
		wantWords(t, b.name+" in berth providers", got[b.name], b.words...)
		// The host may be at the next try just now.
		wantWords(t, "the table of berth providers", strings.ReplaceAll(table, " is starting: ", " is backoff: "),
			append([]string{"\n" + b.name + " is backoff: "}, b.words...)...)
	}
	if got["mock"] != "ready: " {
		t.Errorf("mock is %q in berth providers", got["mock"])
	}
	wantWords(t, "the table of berth providers", table, "PROVIDER", "mock")
}

// berth runs the command on the place's configuration and returns its standard output.
func (s *site) berth(exit int, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(world.bin, "berth"), append(args, "--config", s.path("config.hcl"), "--log-level", "error")...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tempDir())
	var errs lines
	cmd.Stderr = &errs
	out, err := cmd.Output()
	got := 0
	var status *exec.ExitError
	if errors.As(err, &status) {
		got = status.ExitCode()
	} else if err != nil {
		s.t.Fatal(err)
	}
	if got != exit {
		s.t.Errorf("berth %s ended with %d, want %d:\n%s%s", strings.Join(args, " "), got, exit, out, errs.String())
	}
	return string(out)
}

// A plugin that is mended is taken without a restart of the host.
func TestPromise7_MendedPluginIsTaken(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	s.configure(settings{noDocker: true, more: "provider \"mock\" {\n" + command(s.path("later")) + "}\n" + mockTemplate("default", "mock")})
	h := s.start()
	await(t, patience, "the plugin is missed", func() bool { return h.provider("mock").State == "backoff" })
	text, err := os.ReadFile(filepath.Join(world.bin, "berth-provider-mock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("new"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("new"), s.path("later")); err != nil {
		t.Fatal(err)
	}
	h.ready()
	h.create(chat())
	if r := h.scrape()[`berth_plugin_restarts_total{provider="mock",reason="start_failed"}`]; r < 1 {
		t.Errorf("%v launches after a failed one were counted", r)
	}
}

// A host whose required provider can't be had ends with 1, and says why.
func TestPromise7_RequiredPluginEndsServe(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	s.configure(settings{noDocker: true, more: "provider \"mock\" {\n  required = true\n" + command(s.path("nowhere")) + "}\n" + mockTemplate("default", "mock")})
	s.berth(1, "serve")
	if names := s.entries("state/run"); len(names) != 0 {
		t.Errorf("sockets are left: %q", names)
	}
}

// A plugin that hangs is replaced in seconds; another provider and the host go on
// meanwhile, and the sandboxes are the same as before. One that hangs when its host is
// killed goes with it.
func TestPromise7_HungPluginIsReplaced(t *testing.T) { onEach(t, hungPluginIsReplaced) }

func hungPluginIsReplaced(t *testing.T, on kind) {
	s := on.site(t)
	s.configure(settings{more: "provider \"mock\" {}\n" + mockTemplate("on-mock", "mock")})
	h := s.start().ready()
	v := h.create(chat())
	before := h.plugin()
	if err := syscall.Kill(before.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.delete(h.create(host.CreateRequest{Template: "on-mock", ChatID: uuid.NewString()}).ID)
	if p := h.plugin(); p.Generation != before.Generation {
		t.Error("the other provider has waited for the end of the one that hangs")
	}
	await(t, patience, "the hung plugin was replaced", func() bool {
		p := h.plugin()
		return p.Generation > before.Generation && p.State == "ready"
	})
	if n := h.scrape()[`berth_plugin_restarts_total{provider="`+on.name+`",reason="hung"}`]; n != 1 {
		t.Errorf("%v restarts of a hung plugin were counted, want 1", n)
	}
	if p := h.provider("mock"); p.Generation != 1 {
		t.Errorf("the other plugin is in generation %d", p.Generation)
	}
	if now := h.get(v.ID); now.Status != host.StatusRunning || now.SandboxID != v.SandboxID {
		t.Errorf("the session: %+v", now)
	}
	ask(t, v, "/")

	if err := syscall.Kill(h.plugin().PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.kill9(s)
}
