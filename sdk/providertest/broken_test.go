package providertest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
	"github.com/berth-dev/berth/sdk/providertest/mem"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

// brokenCase is a promise that is broken, and how the suite tells of it.
type brokenCase struct {
	breach mem.Breach
	check  string // the check that finds it
	says   string // in its message, beside the promise
	after  string // another check that is made before
	slow   bool   // a create takes a while, so that something can happen in it
}

// checks are those that are made.
func (c brokenCase) checks() []string {
	if c.after == "" {
		return []string{c.check}
	}
	return []string{c.check, c.after}
}

// The ways in which the suite reaches a plugin.
const (
	inProcess = "bare wire"
	overWire  = "wire"
	direct    = "bare"
	asBinary  = "binary"
)

// brokenCases are by the way in which the suite must find the breach.
var brokenCases = map[string][]brokenCase{
	inProcess: {
		{breach: mem.InfoEmpty, check: "info names the plugin", says: `version ""`},
		{breach: mem.SchemasChange, check: "schemas never change", says: "where it was"},
		{breach: mem.SchemasInsane, check: "schemas are sane", says: "beyond its own bounds"},
		{breach: mem.ValidateRefuses, check: "validate accepts what configure accepts", says: "it does not look right"},
		{breach: mem.ConfigureFails, check: "the plugin starts", says: "these settings will not do"},
		{breach: mem.ConfigureWantsDaemon, check: "away is unavailable, not absent", says: "configured while the backend is away"},
		{breach: mem.Ungated, check: "no verb works before configure", says: "called get before Configure"},
		{breach: mem.ClaimsTooMuch, check: "capabilities are what it can do", says: `used the ability "logs", which is claimed`},
		{breach: mem.ClaimsTooLittle, check: "capabilities are what it can do", says: `used the ability "logs", which is not claimed`},
		{breach: mem.DrainHurries, check: "drain finishes what is in flight", says: "of a plugin that was drained", slow: true},
		{breach: mem.DrainHangs, check: "drain finishes what is in flight", says: "drained while a Create was in flight"},

		{breach: mem.PrepareTellsNothing, check: "prepare can be repeated", says: "no digest"},
		{breach: mem.PrepareMakes, check: "prepare can be repeated", says: "Prepare makes nothing"},
		{breach: mem.CreatesTwice, check: "create is idempotent", says: "created the same again"},
		{breach: mem.CreatesRace, check: "sixteen creates at once make one sandbox", says: "ids map["},
		{breach: mem.SaysCreated, check: "create is idempotent", says: `the outcome "created"`},
		{breach: mem.AnswersNothing, check: "create makes what was asked for", says: "sandbox"},
		{breach: mem.AnswersNoID, check: "create makes what was asked for", says: "a sandbox without an id"},
		{breach: mem.AnswersAnother, check: "create makes what was asked for", says: `SessionID "another"`},
		{breach: mem.AnswersTooSoon, check: "create makes what was asked for", says: "the state created"},
		{breach: mem.AnswersNoEndpoint, check: "create makes what was asked for", says: "an endpoint with an address and a port"},
		{breach: mem.AdoptsEnded, check: "create makes anew what does not run", says: `the outcome "adopted"`},
		{breach: mem.AdoptsOtherRequests, check: "a taken name is a conflict", says: "with another request hash"},
		{breach: mem.AdoptsOtherOwners, check: "a taken name is a conflict", says: "with another owner"},
		{breach: mem.ConflictDestroys, check: "a taken name is a conflict", says: "it runs on, as it was"},
		{breach: mem.ReusesIDs, check: "an id names one incarnation", says: "a second time"},
		{breach: mem.FailureLeaves, check: "a failed create leaves nothing", says: "nothing is left of it"},
		{breach: mem.CancelJams, check: "a canceled create leaves none or one", says: "created the same again", slow: true},

		{breach: mem.MissingIsEmpty, check: "every verb tells a missing sandbox", says: "asked Get for an id"},
		{breach: mem.MissingIsError, check: "every verb tells a missing sandbox", says: "asked Delete for an id"},
		{breach: mem.NamesUnknown, check: "get finds by id and by name", says: "by the name of the Spec"},
		{breach: mem.PartsAreIDs, check: "an id is taken whole", says: "that lacks the last character of a sandbox's"},
		{breach: mem.DeletedStays, check: "delete works in every state", says: "asked Get for its id"},
		{breach: mem.ListsShort, check: "list is complete", says: "0 times"},
		{breach: mem.ListsTwice, check: "list is complete", says: "2 times"},
		{breach: mem.ListsRunning, check: "stop ends a sandbox and keeps it", says: "List tells sandboxes of every state"},
		{breach: mem.ListsBare, check: "list is complete", says: `AgentID ""`},
		{breach: mem.ListsInvented, check: "list is complete", says: "never asked for"},
		{breach: mem.ListsLate, check: "list holds under churn", says: "whose Delete was acknowledged"},
		{breach: mem.IdentityEmpty, check: "identity is one", says: "an empty identity"},
		{breach: mem.IdentityChanges, check: "identity is one", says: "the same: it is one backend"},
		{breach: mem.IdentityOfProcess, check: "a new generation finds what there is", says: "asked Identity"},
		{breach: mem.IdentityInvented, check: "create makes what was asked for", says: `the identity "another backend"`},
		{breach: mem.HealthWrong, check: "health tells of the backend", says: "it feels unwell"},
		{breach: mem.LimitsUnnamed, check: "health tells of the backend", says: "No Swap"},
		{breach: mem.LabelsTrimmed, check: "labels come back as they were written", says: " blanks at both ends "},
		{breach: mem.LabelsCut, check: "labels come back as they were written", says: "(4000 bytes)"},
		{breach: mem.LabelsPlain, check: "labels come back as they were written", says: "日本語"},
		{breach: mem.TimesRounded, check: "times keep their microseconds", says: "to the microsecond"},
		{breach: mem.Forgets, check: "a new generation finds what there is", says: "asked Get"},

		{breach: mem.FenceWithoutOwner, check: "the fence holds", says: "a fence of another owner"},
		{breach: mem.FenceWithoutSession, check: "the fence holds", says: "a fence of another session"},
		{breach: mem.AdoptedOpensAll, check: "the fence holds", says: "another owner, with adopted"},
		{breach: mem.UnownedOpen, check: "what has no owner is touched only as adopted", says: "this owner, without adopted"},
		{breach: mem.StopRemoves, check: "stop ends a sandbox and keeps it", says: "it is there, exited"},
		{breach: mem.StopDoesNothing, check: "stop ends a sandbox and keeps it", says: "the state exited"},
		{breach: mem.StopOnce, check: "stop ends a sandbox and keeps it", says: "that was stopped before"},
		{breach: mem.StopKeepsEndpoint, check: "stop ends a sandbox and keeps it", says: "no endpoint"},
		{breach: mem.StopForgetsExit, check: "stop ends a sandbox and keeps it", says: "no exit"},
		{breach: mem.StopNeverForces, check: "stop forces what is stubborn after the grace", says: "the state exited"},
		{breach: mem.StopIsRude, check: "stop forces what is stubborn after the grace", says: "the grace, and little more"},
		{breach: mem.DeleteWantsStopped, check: "delete works in every state", says: "deleted a sandbox that runs"},
		{breach: mem.DeleteDoesNothing, check: "delete works in every state", says: "an error of the class not_found"},
		{breach: mem.DeleteAlwaysDeleted, check: "delete works in every state", says: `the outcome "deleted"`},
		{breach: mem.DeletesCollide, check: "deletes at once all succeed", says: "already in progress"},

		{breach: mem.Panics, check: "get finds by id and by name", says: "a provider never panics"},
		{breach: mem.Blocks, check: "identity is one", says: "every verb answers in time"},
		{breach: mem.AwayIsAbsent, check: "away is unavailable, not absent", says: "asked delete while the backend is away"},
		{breach: mem.AwayIsEmpty, check: "away is unavailable, not absent", says: "asked list while the backend is away"},
		{breach: mem.AwayIsHealthy, check: "away is unavailable, not absent", says: "asked Health while the backend is away"},
		{breach: mem.AwayRemembered, check: "away is unavailable, not absent", says: "asked identity while the backend is away"},
		{breach: mem.EventsGoOn, check: "away is unavailable, not absent", says: "the stream went on"},
		{breach: mem.LeaksGoroutines, check: "calls leave nothing", says: "as many as before"},
		{breach: mem.LeaksDescriptors, check: "calls leave nothing", says: "as many as before"},
		{breach: mem.LeaksAtDrain, check: "generations leave nothing", says: "as many as before"},

		{breach: mem.LogsOfNothing, check: "logs follow their sandbox", says: "of a missing sandbox"},
		{breach: mem.LogsNeverEnd, check: "logs follow their sandbox", says: "every verb answers in time"},
		{breach: mem.LogsEndEarly, check: "logs follow their sandbox", says: "that the log has ended"},
		{breach: mem.LogsWithoutTail, check: "logs tell what was printed", says: "the last two lines"},
		{breach: mem.LogsBackwards, check: "logs tell what was printed", says: "each line once, in order"},
		{breach: mem.EventsNotReady, check: "events tell of every end", says: "it was not ready"},
		{breach: mem.EventsSilent, check: "events tell of every end", says: "an event exited with its id"},
	},
	overWire: {
		{breach: mem.Deaf, check: "verbs hear that their caller has left", says: "drained the plugin when nothing more was asked of it"},
	},
	direct: {
		// Over a connection the caller is back before the provider, so one sandbox is right.
		{breach: mem.CancelLeaves, check: "a canceled create leaves none or one", says: "leaves nothing, also when its context is done", slow: true},
		{breach: mem.Deaf, check: "verbs hear that their caller has left", says: "every verb answers in time"},
		// The SDK's client ends a list, a log or an event stream as its caller does.
		{breach: mem.ReaderIgnored, check: "list ends with its reader", says: "that error"},
		{breach: mem.CutIsComplete, check: "a list that was cut is an error", says: "and no error"},
		{breach: mem.CanceledIsAbsent, check: "verbs hear that their caller has left", says: "success, or an error of the class canceled"},
		{breach: mem.LogsDeafToReader, check: "logs tell what was printed", says: "a reader that fails at once"},
		{breach: mem.EventsReadyTwice, check: "events tell of every end", says: "2 calls of ready"},
		{breach: mem.EventsEndWell, check: "events tell of every end", says: "the reason, never nil"},
	},
	asBinary: {
		{breach: mem.SchemasChange, check: "schemas never change", says: "where it was"},
		{breach: mem.AnswersNoID, check: "create makes what was asked for", says: "a sandbox without an id"},
		{breach: mem.ClaimsTooMuch, check: "capabilities are what it can do", says: "which is claimed"},
		{breach: mem.Panics, check: "get finds by id and by name", says: "a provider never panics"},
		{breach: mem.Blocks, check: "identity is one", says: "every verb answers in time"},
		{breach: mem.MadeInHalves, check: "kill -9 in mid-create leaves none or one", says: "can't be read"},
		{breach: mem.RemovedInHalves, check: "kill -9 in mid-delete leaves none or one", says: "none or one"},
		{breach: mem.PrintsFirst, check: "standard output is the handshake's", says: "welcome to the mock provider"},
		{breach: mem.Prints, check: "standard output is the handshake's", says: "creating berth-"},
		{breach: mem.Dies, check: "get finds by id and by name", says: "exited with code 3"},
		{breach: mem.Panics, check: "no call has panicked", says: "index out of range", after: "get finds by id and by name"},
		{breach: mem.DeleteDoesNothing, check: "nothing is left", says: "none of this owner", after: "create makes what was asked for"},
		{breach: mem.DiesOfFrost, check: "a plugin that is frozen goes on", says: "after SIGSTOP and SIGCONT"},
		{breach: mem.IgnoresTerm, check: "a new generation finds what there is", says: "was ended by signal: killed"},
		{breach: mem.OutlivesHost, check: "a plugin ends with its host", says: "it ends when the lifeline"},
		{breach: mem.LeaksDescriptors, check: "calls leave nothing", says: "as many as before"},
	},
}

// TestBrokenEverySwitchHasACase: no breach of mem is without its test.
func TestBrokenEverySwitchHasACase(t *testing.T) {
	seen := map[mem.Breach]bool{}
	checks := map[string]bool{}
	for _, cases := range brokenCases {
		for _, c := range cases {
			seen[c.breach], checks[c.check] = true, true
			if !slices.Contains(mem.Breaches(), c.breach) {
				t.Errorf("%s is no breach of mem", c.breach)
			}
		}
	}
	for _, b := range mem.Breaches() {
		if !seen[b] {
			t.Errorf("the breach %q of mem has no case: nobody knows whether the suite finds it", b)
		}
	}
	for _, c := range suite.Checks() {
		if !checks[c.Name] {
			t.Errorf("no breach of mem fails the check %q: nobody knows whether it can fail", c.Name)
		}
	}
}

func TestBrokenInProcess(t *testing.T) {
	for ways, cases := range brokenCases {
		if ways == asBinary {
			continue
		}
		for _, c := range cases {
			for way := range strings.FieldsSeq(ways) {
				t.Run(fmt.Sprintf("%s/%s", c.breach, way), func(t *testing.T) {
					if !strings.Contains(string(c.breach), "leaks") { // those count what the whole process has
						t.Parallel()
					}
					broken(t, way, c)
				})
			}
		}
	}
}

// broken runs the check on a backend whose plugins break the promise.
func broken(t *testing.T, way string, c brokenCase) {
	b := mem.NewBackend("broken")
	t.Cleanup(b.Heal)
	b.Break(c.breach)
	opts := memOptions(b)
	opts.Timeout, opts.Soon, opts.Only = 2*time.Second, 500*time.Millisecond, c.checks()
	if c.slow {
		opts.Spec.Config = []byte(`{"create_delay":"60ms"}`)
	}
	open := func() provider.Plugin { return mem.Plugin(b) }
	s := suite.Bare(open)
	if way == overWire {
		s = suite.Wire(open)
	}
	mustFail(t, s, opts, c)
}

// mustFail wants the check to fail, and its message to name the promise.
func mustFail(t *testing.T, s suite.Subject, opts providertest.Options, c brokenCase) {
	t.Helper()
	promise := ""
	for _, i := range suite.Checks() {
		if i.Name == c.check {
			promise = i.Promise
		}
	}
	if promise == "" {
		t.Fatalf("%q is no check", c.check)
	}
	var told bytes.Buffer
	r := suite.NewReport(t.Context(), &told)
	r.Run("broken", func(t suite.T) { suite.Check(t, s, opts) })
	r.Finish()
	if !r.Failed() {
		t.Fatalf("the suite has not noticed:\n%s", &told)
	}
	text := strings.Join(strings.Fields(told.String()), " ")
	if !strings.Contains(text, "broken promise: ") || !strings.Contains(told.String(), c.says) {
		t.Errorf("no message names a promise and says %q:\n%s", c.says, &told)
	}
	own := strings.Contains(told.String(), "broken promise: "+promise)
	everybodys := slices.ContainsFunc(promisesOfAll, func(p string) bool { return strings.Contains(told.String(), "broken promise: "+p) })
	if !own && !everybodys {
		t.Errorf("no message names the promise %q:\n%s", promise, &told)
	}
	if !strings.Contains(told.String(), "did: ") || !strings.Contains(told.String(), "got: ") || !strings.Contains(told.String(), "right: ") {
		t.Errorf("a message does not say what was done, what came back, and what is right:\n%s", &told)
	}
}

// promisesOfAll are those that every check holds a provider to.
var promisesOfAll = []string{"a provider never panics", "every verb answers in time", "a plugin's process lives", "a plugin that is drained"}

func TestBrokenBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: what is tested is a binary, which is not built for the race detector; make test runs it")
	}
	for _, c := range brokenCases[asBinary] {
		t.Run(string(c.breach)+"/"+c.check, func(t *testing.T) {
			t.Parallel()
			opts, _ := mockOptions(t)
			opts.Timeout, opts.Soon, opts.Only, opts.Kills = 5*time.Second, 500*time.Millisecond, c.checks(), 12
			opts.Env = launch.Environment(os.Environ(), map[string]string{mem.BreachEnv: string(c.breach)})
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			opts.Host = func() *exec.Cmd { return exec.Command(self) }
			mustFail(t, suite.Binary(mockBinary, opts), opts, c)
		})
	}
}

// TestBrokenNoPlugin: what is no plugin fails the first check, by its own words, and no
// other is made.
func TestBrokenNoPlugin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no-plugin")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho hello\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	r := suite.NewReport(t.Context(), &told)
	r.Run("binary", func(t suite.T) { suite.Check(t, suite.Binary(path, suite.Options{}), suite.Options{}) })
	r.Finish()
	if !r.Failed() || len(r.Results()) != 1 {
		t.Errorf("%d results:\n%s", len(r.Results()), &told)
	}
	for _, want := range []string{"broken promise: a plugin starts, shakes hands", "it printed on stdout", "the other checks were not made"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &told)
		}
	}
}

// TestBrokenNothing: what the cases above are made of passes when nothing is broken.
func TestBrokenNothing(t *testing.T) {
	b := mem.NewBackend("right")
	opts := memOptions(b)
	opts.Timeout, opts.Soon = 3*time.Second, 500*time.Millisecond
	var told bytes.Buffer
	r := suite.NewReport(context.Background(), &told)
	for name, s := range map[string]suite.Subject{
		"bare": suite.Bare(func() provider.Plugin { return mem.Plugin(b) }),
		"wire": suite.Wire(func() provider.Plugin { return mem.Plugin(b) }),
	} {
		r.Run(name, func(t suite.T) { suite.Check(t, s, opts) })
	}
	r.Finish()
	if r.Failed() || len(r.Results()) < len(suite.Checks()) {
		t.Errorf("%d results:\n%s", len(r.Results()), &told)
	}
	for _, res := range r.Results() {
		if res.Status == suite.Skipped {
			t.Errorf("%s was skipped: %s", res.Name, res.Text)
		}
	}
}
