package mem_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// TestStubborn: a stop takes the whole grace, and is given up with its caller.
func TestStubborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mem.NewBackend("b").Provider()
		s := spec(1)
		s.Config = []byte(`{"stubborn":true}`)
		id := create(t, p, s).Sandbox.ID
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Stop(ctx, provider.StopRequest{ID: id, Fence: fence(1), Grace: time.Minute})
		is(t, "its caller left", err, provider.Canceled)
		begun := time.Now()
		stopped, err := p.Stop(t.Context(), provider.StopRequest{ID: id, Fence: fence(1), Grace: time.Minute})
		if err != nil || stopped.Exit == nil || stopped.Exit.Code != 137 || time.Since(begun) != time.Minute {
			t.Errorf("after %s: %+v, %v", time.Since(begun), stopped, err)
		}
		begun = time.Now()
		if _, err := p.Stop(t.Context(), provider.StopRequest{ID: id, Fence: fence(1), Grace: time.Minute}); err != nil || time.Since(begun) != 0 {
			t.Errorf("it had ended: %s, %v", time.Since(begun), err)
		}
	})
}

// TestHalfWrittenStateFile: what a killed process left half written is written anew, and
// never read.
func TestHalfWrittenStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(path+".new", []byte(`{"Serial": 7, "Box`), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := mem.Open("b", path)
	if err != nil {
		t.Fatal(err)
	}
	create(t, b.Provider(), spec(1))
	if _, err := os.Stat(path + ".new"); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestBreaches: each has a name of its own, and breaks nothing that Backend.Provider
// returns.
func TestBreaches(t *testing.T) {
	seen := map[mem.Breach]bool{"": true}
	for _, breach := range mem.Breaches() {
		if seen[breach] {
			t.Errorf("%q comes twice", breach)
		}
		seen[breach] = true
	}
	b := mem.NewBackend("b")
	b.Break(mem.ReusesIDs)
	first := create(t, b.Provider(), spec(1)).Sandbox.ID
	b.Vanish(first)
	if again := create(t, b.Provider(), spec(1)).Sandbox.ID; again == first {
		t.Errorf("the id %q comes again", again)
	}
}
