package suite

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	var out bytes.Buffer
	var order []string
	r := NewReport(context.Background(), &out)
	ok := r.Run("group", func(t T) {
		t.Run("good", func(t T) {
			t.Cleanup(func() { order = append(order, "first given") })
			t.Cleanup(func() {
				order = append(order, "last given")
				if t.Context().Err() == nil {
					order = append(order, "with a context that is not done")
				}
			})
			t.Logf("all is %s", "well")
		})
		t.Run("skipped", func(t T) { t.Skipf("no %s", "reason"); panic("it goes on") })
		t.Run("failed", func(t T) { t.Errorf("one"); t.Fatalf("two"); panic("it goes on") })
		t.Run("panics", func(T) { panic("oh") })
	})
	r.Finish()
	if ok || !r.Failed() {
		t.Error("a failure within is none of the whole")
	}
	if !slices.Equal(order, []string{"last given", "first given"}) {
		t.Errorf("clean-up: %q", order)
	}
	var got []string
	for _, res := range r.Results() {
		got = append(got, string(res.Status)+" "+res.Name+": "+firstLines([]byte(res.Text), 2))
	}
	want := []string{"passed group/good: all is well", "skipped group/skipped: no reason", "failed group/failed: one\ntwo", "failed group/panics: the check panicked: oh\n"}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i], w) {
			t.Errorf("%q, want %q", got[i], w)
		}
	}
	for _, w := range []string{"passed  group/good", "        all is well", "failed  group/failed"} {
		if !strings.Contains(out.String(), w) {
			t.Errorf("it did not print %q:\n%s", w, &out)
		}
	}
}

func TestReportEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := NewReport(ctx, &bytes.Buffer{})
	r.Run("check", func(sub T) {
		cancel()
		<-sub.Context().Done()
	})
	r.Finish()
}
