package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// Host and plugin export their spans to the receiver that the usual variables name: those
// of docker-provider.md, with their attributes, each below the host's own in one trace,
// failures with the coded error and its cause.
func TestTraces(t *testing.T) { onEach(t, traces) }

func traces(t *testing.T, on kind) {
	s := on.site(t)
	bad := map[string]string{"command": `["/no/such/program"]`}
	if on.name == "docker" {
		bad["network"] = quote("berth-e2e-" + world.run + "-none")
	}
	s.configure(settings{
		lifecycle: map[string]string{"sweep_interval": `"1s"`},
		more:      s.variant("exits", bad, ""),
	})
	c := collect(t)
	h := s.start(c.env()...).ready()
	v := h.create(chat())
	h.stop(v.ID)
	h.delete(v.ID)
	failing := host.CreateRequest{Template: "exits", ChatID: uuid.NewString(), SessionID: uuid.NewString()}
	h.refused(failing)
	h.awaitLists(2)
	h.terminate() // which sends what is still held

	all := c.received()
	services := map[string]int{}
	for _, sp := range all {
		services[sp.service]++
	}
	if services["berth"] == 0 || services["berth-provider-"+on.name] == 0 || len(services) != 2 {
		t.Errorf("spans by service: %v", services)
	}
	for _, w := range []struct {
		host, adapter string
		attrs         []string // of the adapter's span
	}{
		{"berth.create", "adapter." + on.name + ".create_sandbox", []string{"chat.id", v.ChatID, "session.id", v.ID, s.on.differs().id, v.SandboxID, "sandbox.result", "created"}},
		{"berth.stop", "adapter." + on.name + ".stop_sandbox", []string{s.on.differs().id, v.SandboxID, "session.id", v.ID, "chat.id", v.ChatID, "sandbox.result", "stopped"}},
		{"berth.delete", "adapter." + on.name + ".delete_sandbox", []string{s.on.differs().id, v.SandboxID, "sandbox.result", "deleted"}},
	} {
		parents := find(all, w.host, "session.id", v.ID, "chat.id", v.ChatID, "berth.provider", on.name)
		children := find(all, w.adapter, w.attrs...)
		if len(parents) != 1 || len(children) != 1 {
			t.Errorf("%d spans %s of the session, %d spans %s with %q; all: %+v", len(parents), w.host, len(children), w.adapter, w.attrs, find(all, w.adapter))
			continue
		}
		wantBelow(t, s.on, all, children[0], parents[0])
		if children[0].failed || parents[0].failed {
			t.Errorf("%s is a failure: %+v", w.adapter, children[0])
		}
	}

	lists := find(all, "adapter."+on.name+".list_active_sandboxes", "sandbox.result", "listed")
	if len(lists) < 3 {
		t.Errorf("%d spans of lists", len(lists))
	}
	joined := 0
	for _, sp := range lists {
		if sp.attrs[s.on.differs().total] == "" || sp.attrs["sandbox.active_count"] == "" {
			t.Errorf("a list's span: %+v", sp)
		}
		parent := find(all, "berth.list_active")
		for i := range parent {
			if parent[i].trace == sp.trace {
				wantBelow(t, s.on, all, sp, parent[i])
				joined++
			}
		}
	}
	if joined == 0 {
		t.Errorf("none of %d lists is in the trace of the host's", len(lists))
	}
	wantFailure(t, s.on, all, failing)
	wantNoEndlessSpans(t, all)
}

func wantBelow(t *testing.T, on backend, all []span, child, parent span) {
	t.Helper()
	if child.service != "berth-provider-"+on.name() || parent.service != "berth" {
		t.Errorf("%s is of %s, %s of %s", child.name, child.service, parent.name, parent.service)
	}
	if !below(all, child, parent) {
		t.Errorf("%s is not below %s: %+v, %+v", child.name, parent.name, child, parent)
	}
	const clocks = uint64(time.Millisecond)
	if child.beginNano+clocks < parent.beginNano || child.endNano > parent.endNano+clocks {
		t.Errorf("%s is not within %s", child.name, parent.name)
	}
}

// wantFailure looks at the spans of a create that failed.
func wantFailure(t *testing.T, on backend, all []span, bad host.CreateRequest) {
	t.Helper()
	parents := find(all, "berth.create", "session.id", bad.SessionID)
	children := find(all, "adapter."+on.name()+".create_sandbox", "session.id", bad.SessionID, "chat.id", bad.ChatID, "sandbox.result", "error")
	if len(parents) != 1 || len(children) != 1 {
		t.Fatalf("of the failed create: %+v, %+v", parents, children)
	}
	wantBelow(t, on, all, children[0], parents[0])
	if child := children[0]; !child.failed || !strings.Contains(child.status, "sandbox_start_failed") {
		t.Errorf("the adapter's span: failed %v, %q", child.failed, child.status)
	}
	if parent := parents[0]; !parent.failed || parent.attrs["sandbox.result"] != "error" || len(parent.events) == 0 || parent.events[0].name != "exception" {
		t.Errorf("the host's span: %+v", parent)
	}
	coded, cause := false, false
	for _, ev := range children[0].events {
		text := ev.attrs["exception.message"]
		coded = coded || ev.name == "exception" && ev.attrs["error.code"] == "sandbox_start_failed" && ev.attrs["error.type"] == on.differs().class
		cause = cause || ev.name == "exception" && ev.attrs["error.cause"] == "true" && strings.Contains(text, on.differs().cause)
	}
	if !coded || !cause {
		t.Errorf("coded error %v, its cause %v: %+v", coded, cause, children[0].events)
	}
}

// wantNoEndlessSpans: liveness, health and what streams for as long as a plugin lives are
// in no trace.
func wantNoEndlessSpans(t *testing.T, all []span) {
	t.Helper()
	for _, sp := range all {
		name := strings.ToLower(sp.name)
		for _, word := range []string{"health", "events", "stdio", "broker", "controller"} {
			if strings.Contains(name, word) {
				t.Errorf("there is a span %q", sp.name)
			}
		}
	}
}

// Without the variables nothing is exported, and with a receiver that is away all goes on.
func TestTracesToNobody(t *testing.T) { onEach(t, tracesToNobody) }

func tracesToNobody(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	h := s.start("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_EXPORTER_OTLP_TIMEOUT=500", "OTEL_BSP_SCHEDULE_DELAY=100").ready()
	v := h.create(chat())
	ask(t, v, "/")
	h.delete(v.ID)
	h.terminate()
}
