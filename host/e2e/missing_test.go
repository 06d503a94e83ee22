package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/berth-dev/berth/host"
)

// A stop and a delete whose container is no longer there succeed. They are counted as
// not_found, and as no error. Each container goes at the last moment: the plugin has seen it,
// and asks the daemon to end it.
func TestMissingContainerIsNoError(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	way := newInterposer(s)
	h := s.configure(settings{provider: way.line()}).start().ready()
	stopped, deleted := h.create(chat()), h.create(chat())
	way.use(func(req *http.Request) {
		switch {
		case req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/"+stopped.SandboxID+"/stop"):
			remove(t, world.api, stopped.SandboxID)
		case req.Method == http.MethodDelete && strings.HasSuffix(req.URL.Path, "/"+deleted.SandboxID):
			remove(t, world.api, deleted.SandboxID)
		}
	}, nil)
	if v := h.stop(stopped.ID); v.Status != host.StatusEnded || v.Ended.Reason != host.ReasonRemoved {
		t.Errorf("the stop gives %+v, %+v", v, v.Ended)
	}
	h.delete(deleted.ID)
	if e := h.get(deleted.ID); e.Status != host.StatusEnded || e.Ended.Reason != host.ReasonDeleted {
		t.Errorf("after the delete: %+v, %+v", e, e.Ended)
	}
	m := h.scrape()
	// What a stop has not found is torn down as everything is: with a delete, which finds it no
	// more than the other one finds its own.
	for series, want := range map[string]float64{h.operations("stop", "not_found"): 1, h.operations("delete", "not_found"): 2} {
		if m[series] != want {
			t.Errorf("%s is %v, want %v", series, m[series], want)
		}
	}
	wantOperations(t, m, h.operations("create", "created"), h.operations("stop", "not_found"),
		h.operations("delete", "not_found"), h.operations("list_active", "listed"))
	wantErrors(t, m)
}
