package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk/provider"
)

// lie is an untruth of a plugin: the fault blocks that make it tell it, what makes the host
// ask, and the verb under which the refused answer is counted ("" where nothing can be known
// to be untrue, and nothing is concluded from it).
type lie struct {
	faults string
	ask    func(l *liar)
	method string
	words  string // that the log has about it
	state  string // of the provider meanwhile; "": ready
}

func says(verb, more string) string {
	return "    fault {\n      verb = " + quote(verb) + "\n      " + more + "\n    }\n"
}

var lies = map[string]lie{
	"create, unknown outcome": {says("create", `outcome = "odd"`), (*liar).creates, "create", "outcome", ""},
	"create, another owner":   {says("create", `lie = "owner"`), (*liar).creates, "create", `it is the sandbox of owner \"somebody-else\"`, ""},
	"create, another session": {says("create", `lie = "session"`), (*liar).creates, "create", `it is the sandbox of session \"00000000`, ""},
	"create, no id":           {says("create", `lie = "no_id"`), (*liar).creates, "create", "it has no sandbox id", ""},
	"create, other deadline":  {says("create", `lie = "deadline"`), (*liar).creates, "create", "it bears the deadline 1970-01-01T00:00:01Z, and ", ""},
	"create, other backend":   {says("create", `backend = "another"`), (*liar).creates, "create", `it is of backend \"another\", and the backend is \"mem\"`, ""},
	"get, never asked for":    {says("get", `lie = "id"`), (*liar).ensures, "get", `it is about sandbox \"never-asked-for\"`, ""},
	"get, another owner":      {says("get", `lie = "owner"`), (*liar).ensures, "get", `is said to be owner \"somebody-else\"'s`, ""},
	"get, another session":    {says("get", `lie = "session"`), (*liar).ensures, "get", `is said to be that of session \"00000000`, ""},
	"get, other deadline":     {says("get", `lie = "deadline"`), (*liar).ensures, "get", "is said to bear the deadline 1970-01-01T00:00:01Z, and bears ", ""},
	"stop, unknown outcome":   {says("stop", `outcome = "odd"`), (*liar).stops, "stop", "outcome", ""},
	"delete, unknown outcome": {says("delete", `outcome = "created"`), (*liar).deletes, "delete", "outcome", ""},
	"list, an id twice":       {says("list", `lie = "twice"`), (*liar).waits, "list", "an id is empty or comes twice", "degraded"},
	"list, no id":             {says("list", `lie = "no_id"`), (*liar).waits, "list", "an id is empty or comes twice", "degraded"},
	"list, another owner":     {says("list", `lie = "owner"`), (*liar).waits, "list", `is said to be owner \"somebody-else\"'s`, ""},
	"list, another session":   {says("list", `lie = "session"`), (*liar).waits, "list", `is said to be that of session \"00000000`, ""},
	"list, other deadlines":   {says("list", `lie = "deadline"`), (*liar).waits, "list", "is said to bear the deadline 1970-01-01T00:00:01Z, and bears ", ""},
	"list, unknown state":     {says("list", `lie = "state"`), (*liar).sweeps, "", "", ""},
	"list, cut off":           {says("list", "error = \"unavailable\"\n      after = true"), (*liar).waitsForErrors, "", "the plugin's sandboxes can't be reconciled yet", "degraded"},
	"identity flaps": {says("health", "backend = \"another\"\n      times = 3") + says("identity", "backend = \"another\"\n      times = 2"),
		(*liar).flaps, "", "backend changed: it is now", ""},
	"other capabilities": {"    unable = true\n", (*liar).isUnable, "", "", ""},
}

// liar is a host with a plugin that lies, and one that does not. Both hold a session that
// was made before.
type liar struct {
	*remote
	s           *site
	lie         lie
	mine, other host.Session
	spare       host.Session // on the lying plugin; may end
}

// A plugin that lies harms nobody: what it says is not believed, is counted and told as its
// own, and changes nothing for its sessions or anybody else's.
func TestPromise7_LiesAreNotBelieved(t *testing.T) {
	for name, l := range lies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bareSite(t)
			s.configure(s.lying(""))
			h := s.start().ready()
			make := func(template string) host.Session {
				return h.create(host.CreateRequest{Template: template, ChatID: uuid.NewString(), TTL: time.Hour})
			}
			c := &liar{s: s, lie: l, mine: make("on-mock"), other: make("on-good"), spare: make("on-mock")}
			h.terminate()

			s.configure(s.lying(l.faults))
			c.remote = s.start()
			await(t, patience, "the good provider is ready", func() bool { return c.provider("good").State == "ready" })
			l.ask(c)
			c.judge()
			c.terminate()

			// When it tells the truth again, all is as it was.
			s.configure(s.lying(""))
			c.remote = s.start().ready()
			c.wantUnharmed()
			ids := s.world("mock")
			for _, id := range ids {
				if id != c.mine.SandboxID && id != c.spare.SandboxID {
					t.Errorf("a sandbox is left: %s of %q", id, ids)
				}
			}
		})
	}
}

// lying is a configuration with two plugins, whose sandboxes stay in files of their own.
func (s *site) lying(faults string) settings {
	block := func(name, faults string) string {
		return "provider " + quote(name) + " {\n  command = \"berth-provider-mock\"\n  config {\n    state_file = " + quote(s.path(name)) + "\n" + faults + "  }\n}\n" +
			mockTemplate("on-"+name, name)
	}
	return settings{noDocker: true, more: block("mock", faults) + block("good", ""),
		lifecycle: map[string]string{"sweep_interval": `"200ms"`, "create_timeout": `"5s"`, "stop_grace": `"1s"`}}
}

// world is what a mock plugin's file says is there: the ids.
func (s *site) world(name string) []string {
	s.t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	var kept struct {
		Boxes []struct{ Sandbox provider.Sandbox }
	}
	if err := json.Unmarshal(data, &kept); err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, b := range kept.Boxes {
		ids = append(ids, b.Sandbox.ID)
	}
	return ids
}

// counted is how many answers of a plugin were refused.
func (c *liar) counted(provider, method string) float64 {
	return c.scrape()[`berth_plugin_bad_answers_total{method="`+method+`",provider="`+provider+`"}`]
}

// judge looks at what was made of a lie.
func (c *liar) judge() {
	t := c.t
	if c.lie.method != "" {
		await(t, patience, "the lie is counted", func() bool { return c.counted("mock", c.lie.method) > 0 })
	}
	for series, n := range c.scrape() {
		if !strings.HasPrefix(series, "berth_plugin_bad_answers_total") || n == 0 {
			continue
		}
		if want := `{method="` + c.lie.method + `",provider="mock"}`; c.lie.method == "" || !strings.HasSuffix(series, want) {
			t.Errorf("counted %v: %s", n, series)
		}
	}
	if c.lie.words != "" {
		await(t, patience, "the log tells of it", func() bool { return strings.Contains(c.logs.String(), c.lie.words) })
	}
	for line := range strings.Lines(c.logs.String()) {
		if c.lie.words != "" && strings.Contains(line, c.lie.words) && strings.Contains(line, "provider=good") {
			t.Errorf("the other provider is blamed: %s", line)
		}
	}
	state := c.lie.state
	if state == "" {
		state = "ready"
	}
	if p := c.provider("mock"); string(p.State) != state || p.Generation != 1 || p.Restarts != 0 {
		t.Errorf("the lying provider is %s (%s), in generation %d; want %s in the first", p.State, p.Reason, p.Generation, state)
	}
	if p := c.provider("good"); p.State != "ready" || p.Generation != 1 {
		t.Errorf("the other provider is %s, in generation %d", p.State, p.Generation)
	}
	if state == "ready" {
		c.wantUnharmed()
	}
}

// wantUnharmed compares the sessions that nobody has touched with what they were.
func (c *liar) wantUnharmed() {
	c.t.Helper()
	for _, was := range []host.Session{c.mine, c.other} {
		now := c.get(was.ID)
		if now.Status != host.StatusRunning || now.SandboxID != was.SandboxID || now.ExpiresAt.Before(was.ExpiresAt) {
			c.t.Errorf("a session was %+v, and is %+v", was, now)
		}
	}
}

func (c *liar) onMock() { c.t.Helper(); c.await("ready") }

func (c *liar) await(state string) {
	c.t.Helper()
	await(c.t, patience, "the lying provider is "+state, func() bool { return string(c.provider("mock").State) == state })
}

func (c *liar) creates() {
	c.onMock()
	req := host.CreateRequest{Template: "on-mock", ChatID: uuid.NewString(), SessionID: uuid.NewString()}
	if f := c.refused(req); f.Code != host.CodeSandboxStartFailed {
		c.t.Errorf("the create: %v", f)
	}
	if end := c.ended(req.SessionID, patience); end.Ended.Reason != host.ReasonFailed {
		c.t.Errorf("it ended: %+v", end.Ended)
	}
}

func (c *liar) ensures() {
	c.onMock()
	if r, err := c.do(order{Verb: "ensure", Create: host.CreateRequest{Template: "on-mock", ChatID: c.mine.ChatID}}); err == nil {
		c.t.Errorf("ensured on a lie: %+v", r.Session)
	}
}

func (c *liar) stops() {
	c.onMock()
	if r, err := c.do(order{Verb: "stop", Session: c.spare.ID}); err == nil {
		c.t.Errorf("stopped: %+v", r.Session)
	}
}

func (c *liar) deletes() {
	c.onMock()
	if _, err := c.do(order{Verb: "delete", Session: c.spare.ID}); err == nil {
		c.t.Error("deleted on a lie")
	}
	if s := c.get(c.spare.ID); s.Status == host.StatusEnded {
		c.t.Errorf("it is shown as %+v", s)
	}
}

func (c *liar) waits() {
	if c.lie.state != "" {
		c.await(c.lie.state)
	} else {
		c.onMock()
	}
}

// sweeps waits for a few complete lists.
func (c *liar) sweeps() {
	c.onMock()
	const lists = `sandbox_runtime_operation_duration_seconds_count{operation="list_active",provider="mock",result="listed"}`
	await(c.t, patience, "five lists were compared", func() bool { return c.scrape()[lists] >= 5 })
}

func (c *liar) waitsForErrors() {
	c.await("degraded")
	await(c.t, patience, "failed lists are counted", func() bool {
		return c.scrape()[`sandbox_runtime_errors_total{error_type="unavailable",operation="list_active",provider="mock"}`] > 0
	})
}

// flaps waits until the backend was another one, and is itself again.
func (c *liar) flaps() {
	await(c.t, patience, "the change was seen", func() bool {
		return strings.Contains(c.logs.String(), "backend changed: it is now")
	})
	c.onMock()
	if n := c.scrape()[`berth_backend_changes_total{provider="mock"}`]; n == 0 {
		c.t.Error("it is not counted")
	}
}

// isUnable finds that the plugin can do less than with its last settings, and that it works.
// One that claims other things with the same settings is the supervisor's to test.
func (c *liar) isUnable() {
	c.onMock()
	if p := c.provider("mock"); len(p.Capabilities) != 0 {
		c.t.Errorf("it can %v", p.Capabilities)
	}
	c.delete(c.create(host.CreateRequest{Template: "on-mock", ChatID: uuid.NewString()}).ID)
}
