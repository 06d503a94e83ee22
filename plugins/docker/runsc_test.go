package docker

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// A sandbox under gVisor: it runs on another kernel than the machine's, is reached, found,
// logged, stopped and removed as any other. The engine of "make engines" has the runtime;
// BERTH_REQUIRE_ENGINE=1 says that the daemon is such a one.
func TestRunsc(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	info, err := r.api.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := info.Runtimes["runsc"]; !ok {
		if os.Getenv("BERTH_REQUIRE_ENGINE") == "1" {
			t.Fatal("BERTH_REQUIRE_ENGINE=1, and the daemon has no runtime runsc")
		}
		t.Skip(`the daemon has no runtime runsc; "make test-engine" starts one that has`)
	}
	spec := r.newSpec(sandboxConfig(`{"runtime":"runsc"}`), command("/agent", "-print=3"))
	created := r.create(spec)
	id := created.Sandbox.ID
	if got := r.inspectRaw(id).HostConfig.Runtime; got != "runsc" {
		t.Errorf("the runtime is %q", got)
	}
	own, err := os.ReadFile("/proc/version")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.get(created.Sandbox.Endpoint, "/read/proc/version"); strings.TrimSpace(got) == strings.TrimSpace(string(own)) || !strings.HasPrefix(got, "Linux version ") {
		t.Errorf("the sandbox runs on the kernel %q", got)
	}
	if s, _ := r.listed(id); s == nil || s.State != provider.StateRunning || s.Endpoint == nil || *s.Endpoint != *created.Sandbox.Endpoint {
		t.Errorf("listed as %+v", s)
	}
	eventually(t, "its log", func() bool { return strings.Contains(r.logTail(t.Context(), id), "line 2") })
	stopped, err := r.Stop(t.Context(), provider.StopRequest{ID: id, Grace: 10 * time.Second, Fence: fence(spec)})
	if err != nil || stopped.Outcome != provider.OutcomeStopped || stopped.Exit == nil {
		t.Errorf("stopped: %+v, %v", stopped, err)
	}
	if _, err := r.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: fence(spec)}); err != nil {
		t.Error(err)
	}
	r.wantNothing(spec)
}
