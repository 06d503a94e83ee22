package docker

import (
	"testing"

	"github.com/berth-dev/berth/plugins/internal/told"
)

// Where Docker is required, what lacks it fails; elsewhere it is skipped. Both tell why.
func TestWithoutDocker(t *testing.T) {
	for value, want := range map[string]string{
		"1": "failed: BERTH_REQUIRE_DOCKER=1, and there is no dockerd",
		"":  "skipped: there is no dockerd",
	} {
		t.Setenv("BERTH_REQUIRE_DOCKER", value)
		if how := told.By(func(t testing.TB) { without(t, "there is no %s", "dockerd") }); how != want {
			t.Errorf("BERTH_REQUIRE_DOCKER=%q: %s, want %s", value, how, want)
		}
	}
}
