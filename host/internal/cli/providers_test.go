package cli

import (
	"strings"
	"testing"

	"github.com/berth-dev/berth/host/internal/control"
)

// limitedHost is a host with a provider whose backend can't enforce all.
type limitedHost struct{ fakeHost }

func (*limitedHost) Providers() []control.Provider {
	return []control.Provider{
		{Name: "docker", State: "ready", Plugin: "docker", Version: "1.0.0", Backend: "28.2.2", Capabilities: []string{"logs", "events"},
			Limitations: []control.Limitation{
				{Name: "swap", Reason: "the kernel has no swap\x1b[2J"},
				{Name: "pids", Reason: "no pids cgroup"},
			}},
		{Name: "other", State: "ready", Plugin: "other", Version: "2.0.0"},
	}
}

// What a backend can't enforce is shown below the table, and whole in JSON.
func TestProvidersShowLimitations(t *testing.T) {
	socket := serve(t, &limitedHost{})
	status, out, errw := berth("providers", "--socket", socket)
	want := strings.Join([]string{
		"PROVIDER  STATE  PLUGIN        BACKEND  CAPABILITIES",
		"docker    ready  docker 1.0.0  28.2.2   logs, events",
		"other     ready  other 2.0.0   -        -",
		"",
		"docker can't enforce here:",
		"  swap: the kernel has no swap\ufffd[2J",
		"  pids: no pids cgroup",
		"",
	}, "\n")
	if status != 0 || out != want || errw != "" {
		t.Errorf("status %d, stderr %q, stdout\n%s\nwant\n%s", status, errw, out, want)
	}
	status, out, errw = berth("providers", "--socket", socket, "-o", "json")
	const list = `"limitations":[{"name":"swap","reason":"the kernel has no swap\u001b[2J"},{"name":"pids","reason":"no pids cgroup"}]`
	if status != 0 || errw != "" || strings.Count(out, list) != 1 || strings.Count(out, `"limitations":[]`) != 1 {
		t.Errorf("status %d, stderr %q, stdout %s\nwant %s of one, and none of the other", status, errw, out, list)
	}
}
