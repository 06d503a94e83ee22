//go:build !crashpoints

package crash

import (
	"os"
	"path/filepath"
	"testing"
)

// Without the tag a point does nothing, whatever the environment asks for.
func TestPointIsNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("BERTH_CRASH", dir)
	if err := os.WriteFile(filepath.Join(dir, "who.verb.moment"), []byte("kill 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Point("who.verb.moment"); err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 || names[0].Name() != "who.verb.moment" {
		t.Errorf("%v, %v", names, err)
	}
}

// A point that is compiled away costs what an empty loop does: compare the two.
func BenchmarkPoint(b *testing.B) {
	b.Run("point", func(b *testing.B) {
		for b.Loop() {
			if err := Point("who.verb.moment"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
		}
	})
}
