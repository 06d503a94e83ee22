package suite

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/berth-dev/berth/sdk/provider"
)

// Info describes a check.
type Info struct {
	Name    string
	Promise string // what a right provider does; failures begin with it
}

// Checks lists all checks, in the order in which they are made.
func Checks() []Info {
	var list []Info
	for _, c := range checks() {
		list = append(list, Info{Name: c.name, Promise: c.promise})
	}
	return list
}

// check is one promise put to the test.
type check struct {
	name    string
	promise string
	on      []kind                                             // the subjects that it is for; nil: all
	needs   func(o Options, caps []provider.Capability) string // why it can't be made; "" when it can
	run     func(e *env)
}

// checks are all of them. Each theme has its file.
func checks() []check {
	return slices.Concat(
		pluginChecks, schemaChecks, createChecks, conflictChecks, getChecks, fenceChecks, stopChecks, deleteChecks,
		listChecks, labelChecks, cancelChecks, backendChecks, generationChecks, drainChecks,
		logChecks, eventChecks, killChecks, signalChecks, leakChecks, leftChecks,
	)
}

// session is one run of the suite on one subject: what its checks share.
type session struct {
	s     Subject
	opts  Options
	owner string

	mu       sync.Mutex
	shared   *generation // nil: none is open
	caps     []provider.Capability
	identity string            // the first that was told
	digests  map[string]string // by image and config
	skipped  []string
}

// Check makes every check that fits s, each as a test within t. At the end it tells what was
// skipped, and why. Sandboxes of one run bear an owner of their own: those of others at the
// same backend are neither touched nor minded.
func Check(t T, s Subject, opts Options) {
	t.Helper()
	run := &session{s: s, opts: opts.withDefaults(), owner: newOwner(), digests: map[string]string{}}
	if s.place != nil {
		t.Cleanup(func() {
			if err := s.place.remove(); err != nil {
				t.Errorf("clean-up: %v", err)
			}
		})
	}
	known := checks()
	for _, name := range slices.Concat(run.opts.Only, sortedKeys(run.opts.Impossible)) {
		if !slices.ContainsFunc(known, func(c check) bool { return c.name == name }) {
			t.Fatalf("%q is no check: see suite.Checks for their names", name)
		}
	}
	t.Cleanup(func() { run.tell(t) })
	t.Cleanup(func() { run.closeShared(t) })
	for _, c := range known {
		if run.opts.Only != nil && !slices.Contains(run.opts.Only, c.name) || c.on != nil && !slices.Contains(c.on, s.kind) {
			continue
		}
		good := t.Run(c.name, func(t T) {
			e := &env{T: t, session: run, check: c}
			if why := e.impossible(); why != "" {
				run.skip(c.name, why)
				t.Skipf("%s", why)
			}
			e.begin()
			c.run(e)
		})
		if !good && c.name == startCheck {
			t.Logf("%s: the plugin does not start, so the other checks were not made", s.kind)
			return
		}
	}
}

// impossible says why a check can't be made, "" when it can.
func (e *env) impossible() string {
	if why, ok := e.opts.Impossible[e.check.name]; ok {
		return "the author says: " + why
	}
	if e.check.needs == nil {
		return ""
	}
	return e.check.needs(e.opts, e.capabilities())
}

func (r *session) skip(name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skipped = append(r.skipped, fmt.Sprintf("%s: %s", name, why))
}

// tell says what was skipped.
func (r *session) tell(t T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.skipped) == 0 {
		t.Logf("%s: no check was skipped", r.s.kind)
		return
	}
	t.Logf("%s: %d checks were skipped:\n  %s", r.s.kind, len(r.skipped), strings.Join(r.skipped, "\n  "))
}

// closeShared ends the generation that the checks have shared.
func (r *session) closeShared(t T) {
	r.mu.Lock()
	g := r.shared
	r.shared = nil
	r.mu.Unlock()
	if g == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.opts.Timeout)
	defer cancel()
	if err := g.close(ctx); err != nil {
		t.Errorf("%s", failure{promise: promiseDrain, did: "drained the plugin after the last check", got: err.Error(),
			right: "Drain returns nil when the calls in flight are done, and a process that is told to end then ends with 0"})
	}
}

// newOwner is an owner id that no other run has.
func newOwner() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return "cf" + hex.EncodeToString(b[:])
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// only is a check's on: the subjects that it is for.
func only(kinds ...kind) []kind { return kinds }
