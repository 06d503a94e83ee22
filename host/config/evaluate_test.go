package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// one makes a template with one mount of that source.
func one(t *testing.T, source string) *Template {
	t.Helper()
	return mustParse(t, `provider "p" {}
template "t" {
  provider = "p"
  mount "m" {
    source = `+source+`
    target = "/m"
  }
}`).Template("t")
}

func TestEvaluate(t *testing.T) {
	template := mustParse(t, `provider "p" {}
template "t" {
  provider = "p"
  command  = ["run", session.id, 8, true]
  env = {
    Z       = "last"
    A       = session.agent_id
    CREATED = session.created_at
    EXPIRES = session.expires_at
    VOLUME  = session.volume == null ? "none" : session.volume
  }
  mount "chat" {
    source = "/srv/chats/${session.chat_id}"
    target = "/chat"
    create = true
    owner  = "1000:1001"
    mode   = "0750"
  }
  mount "shared" {
    source    = "/srv/shared"
    target    = "/shared"
    read_only = true
    create    = true
  }
  mount "volume" {
    source = session.volume
    target = "/volume"
  }
}`).Template("t")
	at := time.Date(2026, 4, 2, 14, 5, 0, 123456000, time.FixedZone("x", 7200))
	got, err := template.Evaluate(Session{ID: "s1", ChatID: "c1", AgentID: "me", CreatedAt: at, ExpiresAt: at.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	want := Evaluated{
		Command: []string{"run", "s1", "8", "true"},
		Env: []provider.EnvVar{
			{Name: "A", Value: "me"},
			{Name: "CREATED", Value: "2026-04-02T12:05:00.123456Z"},
			{Name: "EXPIRES", Value: "2026-04-02T13:05:00.123456Z"},
			{Name: "VOLUME", Value: "none"},
			{Name: "Z", Value: "last"},
		},
		Mounts: []Mount{
			{Name: "chat", Source: "/srv/chats/c1", Confine: "/srv/chats", Target: "/chat",
				Create: &CreateDir{Within: "/srv/chats", Owner: "1000:1001", Mode: 0o750}},
			{Name: "shared", Source: "/srv/shared", Target: "/shared", ReadOnly: true,
				Create: &CreateDir{Within: "/srv", Mode: 0o700}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got, err = template.Evaluate(Session{ID: "s1", ChatID: "c1", Volume: "/srv/volumes/v"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Mounts) != 3 || got.Mounts[2] != (Mount{Name: "volume", Source: "/srv/volumes/v", Target: "/volume"}) {
		t.Errorf("mounts %+v", got.Mounts)
	}
}

func TestConfine(t *testing.T) {
	for _, c := range []struct {
		source  string
		session Session
		path    string // "": refused
		confine string
	}{
		{`"/srv/chats/${session.chat_id}"`, Session{ChatID: "c"}, "/srv/chats/c", "/srv/chats"},
		{`"/srv/chats/x-${session.chat_id}-y/z"`, Session{ChatID: "c"}, "/srv/chats/x-c-y/z", "/srv/chats"},
		{`"${"/srv"}/chats/${session.chat_id}"`, Session{ChatID: "c"}, "/srv/chats/c", "/srv/chats"},
		{`"${env("ROOT", "/srv")}/chats/${session.chat_id}"`, Session{ChatID: "c"}, "/srv/chats/c", "/srv/chats"},
		{`("/srv/${session.agent_id}/${session.chat_id}")`, Session{AgentID: "a", ChatID: "c"}, "/srv/a/c", "/srv"},
		{`"/srv/${session.agent_id}/x"`, Session{AgentID: "a/b"}, "/srv/a/b/x", "/srv"},
		{`"/srv/${session.agent_id}"`, Session{AgentID: "..."}, "/srv/...", "/srv"},
		{`"/srv/${session.agent_id == "x" ? "a" : "b"}/c"`, Session{AgentID: "x"}, "/srv/a/c", ""},
		{`"/srv/${session.agent_id == "x" ? "a" : session.agent_id}/c"`, Session{AgentID: "y"}, "/srv/y/c", "/srv"},
		{`session.agent_id == "x" ? "/one/${session.agent_id}" : "/two/${session.agent_id}"`, Session{AgentID: "y"}, "/two/y", "/two"},
		{`"/srv/%{ if session.agent_id == "x" }${session.agent_id}%{ else }other%{ endif }"`, Session{AgentID: "x"}, "/srv/x", "/srv"},
		{`"/srv/%{ for part in [session.agent_id] }${part}%{ endfor }"`, Session{AgentID: "x"}, "/srv/x", "/srv"},
		{`"/srv/${[session.agent_id][0]}"`, Session{AgentID: "x"}, "/srv/x", "/srv"},
		{`session.volume`, Session{Volume: "/v/w"}, "/v/w", ""},
		{`"${session.volume}"`, Session{Volume: "/v/w"}, "/v/w", ""},
		{`session.volume == null ? null : "${session.volume}/data"`, Session{Volume: "/v/w"}, "/v/w/data", "/v/w"},
		{`session.volume == null ? null : "${session.volume}/data/${session.agent_id}"`, Session{Volume: "/v/w", AgentID: "a"}, "/v/w/data/a", "/v/w/data"},

		// What climbs out, or names the directory itself, is refused.
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: ".."}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "../other"}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "a/../../b"}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "a/../b"}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "."}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: ""}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "/etc"}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "a/"}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "a\x00b"}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "a\nb"}, "", ""},
		{`"/srv/agents/${session.agent_id}"`, Session{AgentID: "a\xffb"}, "", ""},
		{`"/srv/agents/${session.agent_id}/data"`, Session{AgentID: ""}, "", ""},
		{`"/srv/agents/x${session.agent_id}"`, Session{AgentID: "/../../etc"}, "", ""},
		{`"/srv/agents/.${session.agent_id}"`, Session{AgentID: "."}, "", ""},
		{`"/srv/agents/.${session.agent_id}/etc"`, Session{AgentID: "./.."}, "", ""},
		{`session.volume`, Session{Volume: "relative"}, "", ""},
		{`session.volume == null ? null : "${session.volume}/data/${session.agent_id}"`, Session{Volume: "/v", AgentID: ".."}, "", ""},
	} {
		got, err := one(t, c.source).Evaluate(c.session)
		if c.path == "" {
			if !errors.Is(err, provider.InvalidArgument) || !strings.Contains(err.Error(), "source") || !strings.Contains(err.Error(), `mount "m"`) {
				t.Errorf("%s with %+v: %v %+v, want a refusal", c.source, c.session, err, got.Mounts)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
		} else if m := got.Mounts[0]; m.Source != c.path || m.Confine != c.confine {
			t.Errorf("%s: %q in %q, want %q in %q", c.source, m.Source, m.Confine, c.path, c.confine)
		}
	}
}

func TestEvaluateRefusesTexts(t *testing.T) {
	template := mustParse(t, `provider "p" {}
template "t" {
  provider = "p"
  command  = ["run", session.agent_id]
  env      = { "X_${session.agent_id}" = "1", (session.chat_id) = "2" }
}`).Template("t")
	for _, c := range []struct {
		session Session
		want    string
	}{
		{Session{AgentID: "a\x00", ChatID: "C"}, "command[1] must be a text without NUL"},
		{Session{AgentID: "a=b", ChatID: "C"}, "is no name of a variable"},
		{Session{AgentID: "a", ChatID: "AGENT_ID"}, "AGENT_ID can't be set in env"},
		{Session{AgentID: "a", ChatID: ""}, `env[""] is no name of a variable`},
	} {
		_, err := template.Evaluate(c.session)
		if !errors.Is(err, provider.InvalidArgument) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.session, err, c.want)
		}
	}
	if ev, err := template.Evaluate(Session{AgentID: "a", ChatID: "C"}); err != nil || len(ev.Env) != 2 {
		t.Errorf("%v %v", ev, err)
	}
}

// What env() answered when the file was read holds for good.
func TestEnvironmentIsReadOnce(t *testing.T) {
	value := "first"
	cfg, diags := Parse([]byte(`provider "p" {}
template "t" {
  provider = "p"
  env      = { A = env("A") }
}`), "config.hcl", WithEnv(func(name string) (string, bool) { return value, name == "A" || name == "HOME" }))
	if diags.HasErrors() && !strings.Contains(diags.Error(), "state_dir") {
		t.Fatal(diags)
	}
	if cfg == nil {
		t.Skip("the user has no state directory in this environment")
	}
	value = "second"
	ev, err := cfg.Template("t").Evaluate(Session{})
	if err != nil || ev.Env[0].Value != "first" {
		t.Errorf("%v %v", ev.Env, err)
	}
}
