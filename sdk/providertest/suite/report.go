package suite

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Status is how a check ended.
type Status string

// The ends of a check.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Result is how one check ended.
type Result struct {
	Name   string // with the names of those around it: "wire/create is idempotent"
	Status Status
	Text   string // what it said, a line each
	Took   time.Duration
}

// Report is a [T] for programs: it prints each result when it comes, and keeps them.
type Report struct {
	ctx    context.Context
	cancel context.CancelFunc
	name   string
	book   *book

	mu       sync.Mutex
	text     []string
	status   Status // "" while nothing was said about it
	children bool
	cleanup  []func()
}

// book is what all reports of one run share.
type book struct {
	mu      sync.Mutex
	w       io.Writer
	results []Result
}

// NewReport returns the outermost report of a run. It prints on w. The checks end early
// when ctx is done.
func NewReport(ctx context.Context, w io.Writer) *Report {
	return newReport(ctx, "", &book{w: w})
}

func newReport(ctx context.Context, name string, b *book) *Report {
	ctx, cancel := context.WithCancel(ctx)
	return &Report{ctx: ctx, cancel: cancel, name: name, book: b}
}

// Helper does nothing.
func (r *Report) Helper() {}

// Logf notes something.
func (r *Report) Logf(format string, args ...any) { r.say("", format, args) }

// Errorf notes a failure and goes on.
func (r *Report) Errorf(format string, args ...any) { r.say(Failed, format, args) }

// Fatalf notes a failure and ends the check.
func (r *Report) Fatalf(format string, args ...any) {
	r.say(Failed, format, args)
	runtime.Goexit()
}

// Skipf notes why the check can't be made and ends it.
func (r *Report) Skipf(format string, args ...any) {
	r.say(Skipped, format, args)
	runtime.Goexit()
}

func (r *Report) say(status Status, format string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, fmt.Sprintf(format, args...))
	if status != "" && r.status != Failed {
		r.status = status
	}
}

// Failed reports whether this check, or one in it, has failed.
func (r *Report) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status == Failed
}

// Cleanup has f called when the check has ended, the last one first.
func (r *Report) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanup = append(r.cleanup, f)
}

// Context is done when the check has ended, before its clean-up.
func (r *Report) Context() context.Context { return r.ctx }

// Run makes one check, in a goroutine of its own, and reports whether it did not fail.
func (r *Report) Run(name string, f func(T)) bool {
	if r.name != "" {
		name = r.name + "/" + name
	}
	r.mu.Lock()
	r.children = true
	r.mu.Unlock()
	sub := newReport(r.ctx, name, r.book)
	begun := time.Now()
	sub.guard(func() { f(sub) })
	sub.Finish()
	sub.book.enter(sub, time.Since(begun))
	if sub.Failed() {
		r.mu.Lock()
		r.status = Failed
		r.mu.Unlock()
		return false
	}
	return true
}

// guard runs f to its end, to its Goexit, or to its panic, which fails the check.
func (r *Report) guard(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				r.say(Failed, "the check panicked: %v\n%s", []any{v, debug.Stack()})
			}
		}()
		f()
	}()
	<-done
}

// Finish runs what Cleanup was given. Run calls it itself; the outermost report's caller
// calls it once, at the end.
func (r *Report) Finish() {
	r.cancel()
	for {
		r.mu.Lock()
		n := len(r.cleanup)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		f := r.cleanup[n-1]
		r.cleanup = r.cleanup[:n-1]
		r.mu.Unlock()
		r.guard(f)
	}
}

// Results are those of the checks that have ended, in the order of their ends.
func (r *Report) Results() []Result {
	r.book.mu.Lock()
	defer r.book.mu.Unlock()
	return slices.Clone(r.book.results)
}

// enter keeps and prints the result of a check. A group of checks that all passed is told
// by them, and only what it said itself is printed.
func (b *book) enter(r *Report, took time.Duration) {
	r.mu.Lock()
	res := Result{Name: r.name, Status: r.status, Text: strings.Join(r.text, "\n"), Took: took}
	group := r.children
	r.mu.Unlock()
	if res.Status == "" {
		res.Status = Passed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !group {
		b.results = append(b.results, res)
		fmt.Fprintf(b.w, "%-7s %s (%s)\n", res.Status, res.Name, took.Round(time.Millisecond))
	}
	if res.Text != "" {
		fmt.Fprintf(b.w, "        %s\n", strings.ReplaceAll(res.Text, "\n", "\n        "))
	}
}
