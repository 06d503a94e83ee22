package suite

import (
	"bytes"
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// lagging is a context whose deadline is known and whose timer has not fired.
type lagging struct {
	context.Context
	deadline time.Time
}

func (l lagging) Deadline() (time.Time, bool) { return l.deadline, true }

// TestAskHearsTheOtherTimer: a plugin has a timer of its own for its caller's deadline. Where
// that one fires first, nobody has broken a promise; before the deadline, somebody has.
func TestAskHearsTheOtherTimer(t *testing.T) {
	blame := regexp.MustCompile(`no answer, after \d+m?s of 1m0s`)
	for _, c := range []struct {
		name   string
		ctx    context.Context
		blamed bool
	}{
		{"its deadline has passed", lagging{t.Context(), time.Now()}, false},
		{"its deadline is to come", lagging{t.Context(), time.Now().Add(time.Hour)}, true},
		{"it has none", t.Context(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told bytes.Buffer
			r := NewReport(t.Context(), &told)
			r.Run("check", func(tt T) {
				h := &handle{e: &env{T: tt, session: &session{opts: Options{Timeout: time.Minute, Soon: time.Minute}}}, g: &generation{}}
				_, err := ask(h, c.ctx, "asked", func(context.Context) (int, error) {
					return 0, &provider.Error{Class: provider.Canceled, Op: "get"}
				})
				if (err == errBroken) != c.blamed {
					t.Errorf("ask: %v", err)
				}
			})
			r.Finish()
			if r.Failed() != c.blamed || c.blamed && !blame.MatchString(told.String()) {
				t.Errorf("the suite says:\n%s", &told)
			}
		})
	}
}
