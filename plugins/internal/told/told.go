// Package told lets tests see how a helper ends its test: whether it fails or skips it, and
// with which words.
package told

import (
	"fmt"
	"runtime"
	"testing"
)

// By runs f with a test of its own and returns how that ended: "failed: ", "skipped: " and
// the words, or "it goes on". What is given to f has Helper, Fatalf and Skipf, and nothing
// else of a test.
func By(f func(testing.TB)) string {
	o := &test{how: "it goes on"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(o)
	}()
	<-done
	return o.how
}

type test struct {
	testing.TB
	how string
}

func (o *test) Helper() {}

func (o *test) Fatalf(format string, args ...any) { o.end("failed: "+format, args) }

func (o *test) Skipf(format string, args ...any) { o.end("skipped: "+format, args) }

func (o *test) end(format string, args []any) {
	o.how = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
