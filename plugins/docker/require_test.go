package docker

import (
	"fmt"
	"runtime"
	"testing"
)

// told is a test that hears how it ends.
type told struct {
	testing.TB
	how string
}

func (o *told) Helper() {}

func (o *told) Fatalf(format string, args ...any) { o.end("failed: "+format, args) }

func (o *told) Skipf(format string, args ...any) { o.end("skipped: "+format, args) }

func (o *told) end(format string, args []any) {
	o.how = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// Where Docker is required, what lacks it fails; elsewhere it is skipped. Both tell why.
func TestWithoutDocker(t *testing.T) {
	for value, want := range map[string]string{
		"1": "failed: BERTH_REQUIRE_DOCKER=1, and there is no dockerd",
		"":  "skipped: there is no dockerd",
	} {
		t.Setenv("BERTH_REQUIRE_DOCKER", value)
		o := &told{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			without(o, "there is no %s", "dockerd")
			o.how = "it goes on"
		}()
		if <-done; o.how != want {
			t.Errorf("BERTH_REQUIRE_DOCKER=%q: %s, want %s", value, o.how, want)
		}
	}
}
