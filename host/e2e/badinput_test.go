package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// wantNothing fails when a place has a sandbox, a session, or a chat's directory.
func wantNothing(t *testing.T, s *site, h *remote) {
	t.Helper()
	if list := s.sandboxes(); len(list) != 0 {
		t.Errorf("sandboxes are left: %+v", list)
	}
	if list := h.list(); len(list) != 0 {
		t.Errorf("sessions are left: %+v", list)
	}
}

// What a request can't mean is refused before anything is made: it names the field, the
// value and the limit.
func TestPromise8_BadRequestsAreRefused(t *testing.T) { onEach(t, badRequestsAreRefused) }

func badRequestsAreRefused(t *testing.T, on kind) {
	s := on.site(t).configure(settings{lifecycle: map[string]string{"max_ttl": `"1h"`}})
	s.write("volumes/file", "")
	if err := os.Mkdir(s.path("elsewhere"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.path("elsewhere"), s.path("volumes/out")); err != nil {
		t.Fatal(err)
	}
	h := s.start().ready()
	for name, c := range map[string]struct {
		change func(*host.CreateRequest)
		code   host.Code
		words  []string
	}{
		"chat id":               {func(r *host.CreateRequest) { r.ChatID = "chat-1" }, host.CodeInvalidArgument, []string{"chat_id: ", `"chat-1" is not a UUID`}},
		"no chat id":            {func(r *host.CreateRequest) { r.ChatID = "" }, host.CodeInvalidArgument, []string{"chat_id: is empty"}},
		"session id":            {func(r *host.CreateRequest) { r.SessionID = "7" }, host.CodeInvalidArgument, []string{"session_id: ", `"7" is not a UUID`}},
		"agent id":              {func(r *host.CreateRequest) { r.AgentID = "a\nb" }, host.CodeInvalidArgument, []string{"agent_id: ", `"a\nb" has control characters`}},
		"long agent id":         {func(r *host.CreateRequest) { r.AgentID = strings.Repeat("a", 257) }, host.CodeInvalidArgument, []string{"agent_id: 257 bytes are over the limit of 256"}},
		"negative ttl":          {func(r *host.CreateRequest) { r.TTL = -time.Second }, host.CodeInvalidArgument, []string{"ttl: -1s is not positive", "max_ttl 1h"}},
		"long ttl":              {func(r *host.CreateRequest) { r.TTL = 61 * time.Minute }, host.CodeInvalidArgument, []string{"ttl: 1h1m0s is over max_ttl 1h"}},
		"template":              {func(r *host.CreateRequest) { r.Template = "defualt" }, host.CodeNotFound, []string{`template "defualt" is not in the configuration`}},
		"volume outside":        {func(r *host.CreateRequest) { r.Volume = s.path("elsewhere") }, host.CodeInvalidArgument, []string{"volume: ", s.path("elsewhere"), "outside of volume_roots", s.path("volumes")}},
		"volume with dots":      {func(r *host.CreateRequest) { r.Volume = s.path("volumes") + "/../elsewhere" }, host.CodeInvalidArgument, []string{"volume: ", "outside of volume_roots"}},
		"volume leads out":      {func(r *host.CreateRequest) { r.Volume = s.path("volumes/out") }, host.CodeInvalidArgument, []string{"volume: ", s.path("elsewhere"), "outside of volume_roots"}},
		"volume that is a file": {func(r *host.CreateRequest) { r.Volume = s.path("volumes/file") }, host.CodeInvalidArgument, []string{"volume: ", "is no directory"}},
		"volume that is not":    {func(r *host.CreateRequest) { r.Volume = s.path("volumes/none") }, host.CodeInvalidArgument, []string{"volume: ", "no such file"}},
	} {
		req := chat()
		c.change(&req)
		f := h.refused(req)
		if f.Code != c.code {
			t.Errorf("%s: %s, want %s: %s", name, f.Code, c.code, f.Text)
		}
		wantWords(t, name, f.Text, c.words...)
	}
	wantNothing(t, s, h)
	if all := h.must(order{Verb: "list", Filter: host.Filter{All: true}}).Sessions; len(all) != 0 {
		t.Errorf("records are left: %+v", all)
	}
	if names := s.entries("chats"); len(names) != 0 {
		t.Errorf("chats' directories were made: %q", names)
	}

	v := h.create(chat())
	for name, c := range map[string]struct {
		extend host.ExtendRequest
		words  string
	}{
		"both":          {host.ExtendRequest{By: time.Second, Until: time.Now().Add(time.Minute)}, "either by or until"},
		"negative":      {host.ExtendRequest{By: -time.Second}, "by: -1s is not positive"},
		"over max_ttl":  {host.ExtendRequest{By: time.Hour}, "over max_ttl 1h"},
		"until too far": {host.ExtendRequest{Until: time.Now().Add(2 * time.Hour)}, "over max_ttl 1h"},
	} {
		r, err := h.do(order{Verb: "extend", Session: v.ID, Extend: c.extend})
		if err == nil || r.Err.Code != host.CodeInvalidArgument || !strings.Contains(r.Err.Text, c.words) {
			t.Errorf("extend, %s: %+v", name, r.Err)
		}
	}
	for _, verb := range []string{"get", "extend", "stop", "delete"} {
		r, err := h.do(order{Verb: verb, Session: uuid.NewString(), Extend: host.ExtendRequest{By: time.Second}})
		if err == nil || r.Err.Code != host.CodeNotFound {
			t.Errorf("%s of an unknown id: %+v", verb, r.Err)
		}
	}
}

// A sandbox that can't come to be fails its create with the backend's words and its own
// last ones, and leaves nothing.
func TestPromise5_FailedCreatesLeaveNothing(t *testing.T) { onEach(t, failedCreatesLeaveNothing) }

func failedCreatesLeaveNothing(t *testing.T, on kind) {
	s := on.site(t)
	noImage, imageWords, come := s.on.missing()
	noNetwork := "berth-e2e-" + world.run + "-none"
	chats := "mount \"chat\" {\n  source = \"" + s.path("chats") + "/${session.chat_id}\"\n  target = \"/workspace/chat\"\n  create = true\n}\n"
	missing := "mount \"tools\" {\n  source = \"" + s.path("missing") + "\"\n  target = \"/tools\"\n}\n"
	network := ""
	if on.name == "docker" {
		network = s.variant("network", map[string]string{"network": quote(noNetwork)}, chats)
	}
	s.configure(settings{more: network + s.variant("image", map[string]string{"image": quote(noImage)}, chats+readyTCP) +
		s.variant("mount", nil, missing) +
		s.variant("command", map[string]string{"command": `["/no/such/program"]`}, chats+readyTCP) +
		s.variant("exits", map[string]string{"command": `["/agent", "-print", "60", "-exit", "9"]`}, chats+readyTCP) +
		s.variant("command-unprobed", map[string]string{"command": `["/no/such/program"]`}, chats) +
		s.variant("exits-unprobed", map[string]string{"command": `["/agent", "-print", "60", "-exit", "9"]`}, chats) +
		s.variant("deaf", map[string]string{"command": `["/agent", "-print", "3", "-never-listen"]`}, chats+"ready {\n  http = \"/healthz\"\n  timeout = \"2s\"\n}\n")})
	h := s.start().ready()
	for template, words := range map[string][]string{
		"image":            imageWords,
		"network":          {noNetwork, "not found"},
		"mount":            {s.path("missing"), s.on.differs().noSource},
		"command":          {"/no/such/program", "o such file or directory"},
		"exits":            {"code 9", "line 58", "line 59"},
		"command-unprobed": {"/no/such/program", "o such file or directory"},
		"exits-unprobed":   {"code 9", "line 58", "line 59"},
		"deaf":             {"not ready within 2s", "connection refused", "line 2", "never listening"},
	} {
		if template == "network" && network == "" {
			continue // there is none to name
		}
		req := chat()
		req.Template, req.SessionID = template, uuid.NewString()
		f := h.refused(req)
		if f.Code != host.CodeSandboxStartFailed || f.ChatID != req.ChatID || f.SessionID != req.SessionID {
			t.Errorf("%s: code %s, chat %s, session %s: %s", template, f.Code, f.ChatID, f.SessionID, f.Text)
		}
		wantWords(t, template, f.Text, words...)
		if n := strings.Count(f.Text, "line "); strings.HasPrefix(template, "exits") && n != 50 {
			t.Errorf("it tells %d of its lines, want the last 50: %s", n, f.Text)
		}
		if n := strings.Count(f.Text, "line 2\n"); template == "deaf" && n > 1 {
			t.Errorf("its output comes %d times: %s", n, f.Text)
		}
		e := h.get(req.SessionID)
		if e.Status != host.StatusEnded || e.Ended.Reason != host.ReasonFailed || e.Ended.Message == "" {
			t.Errorf("%s: the record is %+v", template, e.Ended)
		}
		wantNothing(t, s, h)
	}
	if _, err := os.Stat(s.path("missing")); !os.IsNotExist(err) {
		t.Errorf("the missing mount source: %v; the daemon must not make it", err)
	}
	for _, dir := range []string{"dependencies", "lambda-tools", "volumes"} {
		if names := s.entries(dir); len(names) != 0 {
			t.Errorf("%s has %q", dir, names)
		}
	}

	// The id of a failed create may be tried again, and replaces it.
	req := chat()
	req.Template, req.SessionID = "image", uuid.NewString()
	if f := h.refused(req); f.Code != host.CodeSandboxStartFailed {
		t.Errorf("before there is an image: %+v", f)
	}
	come()
	if v := h.create(req); v.Status != host.StatusRunning || v.ID != req.SessionID {
		t.Errorf("tried anew: %+v", v)
	}
	h.delete(req.SessionID)
}

// A second host on the same state_dir is refused and names the holder; the first goes on.
func TestPromise8_SecondHostNamesTheHolder(t *testing.T) { onEach(t, secondHostNamesTheHolder) }

func secondHostNamesTheHolder(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start().ready()
	_, first := s.launch()
	if first.Err == nil || !strings.Contains(first.Err.Text, "state_dir "+s.path("state")+" is in use by the host with pid "+pidText(h)+";") {
		t.Errorf("the second host: %+v", first.Err)
	}
	v := h.create(chat())
	ask(t, v, "/")
}
