package told_test

import (
	"testing"

	"github.com/berth-dev/berth/plugins/internal/told"
)

func TestBy(t *testing.T) {
	for want, f := range map[string]func(testing.TB){
		"failed: no 1":  func(t testing.TB) { t.Helper(); t.Fatalf("no %d", 1) },
		"skipped: no 2": func(t testing.TB) { t.Skipf("no %d", 2); t.Fatalf("it went on") },
		"it goes on":    func(testing.TB) {},
	} {
		if got := told.By(f); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
