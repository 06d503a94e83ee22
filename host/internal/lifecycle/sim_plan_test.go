package lifecycle_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// step is one thing that happens in a plan. Only what its kind reads is drawn.
type step struct {
	do       string
	id       int           // of the ids that a plan knows, or of a chat
	d        time.Duration // how long, or by how much
	patience time.Duration // of the caller
	wait     bool          // the plan goes on only when the call is over
	short    bool          // with the template of short sessions; another choice of a kind with two
	of       string        // the session's id, where the step itself has found it
	verb     mem.Verb
	kind     string // of a fault
	n        int    // how often, or how many
	after    bool   // the effect comes first
}

// GoString is how rapid prints it.
func (s step) GoString() string { return s.String() }

func (s step) String() string {
	text := s.do
	switch s.do {
	case "create", "mint", "ensure", "extend", "stop", "delete", "get":
		text = fmt.Sprintf("%s %d", s.do, s.id)
		if s.short {
			text += " short"
		}
		if s.do == "extend" {
			text += fmt.Sprintf(" by %v", s.d)
		}
		if s.do != "get" {
			text += fmt.Sprintf(" (patience %v, waits %v)", s.patience, s.wait)
		}
	case "deadline":
		text = fmt.Sprintf("pass until %v before the next deadline (which is then extended: %v)", s.d, s.short)
	case "pass", "sleep", "probe", "store slow":
		text = fmt.Sprintf("%s %v", s.do, s.d)
	case "exit", "oom", "vanish", "pause", "revive", "emit":
		text = fmt.Sprintf("%s the sandbox %d", s.do, s.n)
	case "fault":
		text = fmt.Sprintf("fault: %s %s, %d times, %v, after the effect %v", s.verb, s.kind, s.n, s.d, s.after)
	case "list":
		text = fmt.Sprintf("lists are %s, %d times", s.kind, s.n)
	case "lie":
		text = fmt.Sprintf("%s answers with another %s, %d times", s.verb, s.kind, s.n)
	case "orphan":
		text = fmt.Sprintf("a sandbox of ours without a session (old: %v)", s.short)
	case "store fails", "store hangs", "cut":
		text = fmt.Sprintf("%s %d (it lands: %v)", s.do, s.n, s.after)
	case "swap":
		text = "another, empty backend: " + s.kind
	}
	return text
}

// The kinds of steps, as often as they are to come up. A plan shrinks towards the first.
var simKinds = weighted([]weight{
	{"pass", 15}, {"deadline", 5}, {"create", 15}, {"mint", 2}, {"ensure", 8}, {"extend", 9}, {"stop", 4}, {"delete", 4}, {"get", 1}, {"sleep", 2},
	{"heal", 6}, {"up", 4}, {"crash", 3}, {"cut", 3}, {"restart", 1}, {"lost store", 1},
	{"exit", 2}, {"oom", 1}, {"vanish", 2}, {"pause", 1}, {"revive", 1}, {"emit", 1}, {"orphan", 1},
	{"fault", 6}, {"list", 3}, {"lie", 2}, {"away", 2}, {"die", 3}, {"swap", 2}, {"probe", 1},
	{"store fails", 3}, {"store slow", 2}, {"store hangs", 1},
})

type weight struct {
	word string
	n    int
}

func weighted(list []weight) *rapid.Generator[string] {
	var words []string
	for _, w := range list {
		for range w.n {
			words = append(words, w.word)
		}
	}
	return rapid.SampledFrom(words)
}

var (
	simIDs      = rapid.IntRange(0, 4)
	simFew      = rapid.IntRange(1, 3)
	simVerbs    = rapid.SampledFrom([]mem.Verb{mem.Create, mem.Get, mem.Delete, mem.Stop, mem.Prepare, mem.Identity, mem.Events, mem.Health})
	simFaults   = rapid.SampledFrom([]string{"away", "internal", "slow", "late", "hang"})
	simLists    = rapid.SampledFrom([]string{"cut off", "slow", "failing", "hanging", "of exited ones", "duplicate", "of other ids", "of another owner", "of other sessions"})
	simLiars    = rapid.SampledFrom([]mem.Verb{mem.Create, mem.Get, mem.Stop, mem.Delete})
	simLies     = rapid.SampledFrom([]string{"id", "owner", "session", "outcome"})
	simSwaps    = rapid.SampledFrom([]string{"unnoticed", "noticed", "a new generation"})
	simPatience = rapid.SampledFrom([]time.Duration{time.Minute, 12 * time.Second, time.Second, 3 * time.Minute})
	simMillis   = rapid.IntRange(0, 3000)
	simSeconds  = rapid.IntRange(1, 90)
	simMinutes  = rapid.IntRange(1, 8)
	simTerms    = rapid.IntRange(0, 9)
	simBools    = rapid.Bool()
)

var simSteps = rapid.Custom(func(t *rapid.T) step {
	s := step{do: simKinds.Draw(t, "do")}
	switch s.do {
	case "create", "mint", "ensure", "extend", "stop", "delete":
		s.id = simIDs.Draw(t, "id")
		s.patience = simPatience.Draw(t, "patience")
		s.wait = !simBools.Draw(t, "goes on")
		if s.do == "create" || s.do == "mint" || s.do == "ensure" {
			s.short = simBools.Draw(t, "short")
		}
		if s.do == "extend" {
			s.d = simTime(t)
		}
	case "get":
		s.id = simIDs.Draw(t, "id")
	case "pass":
		s.d = simTime(t)
	case "sleep":
		s.d = simTime(t) + 10*time.Millisecond // less is taken for noise, and counts with the next
	case "exit", "oom", "vanish", "pause", "revive", "emit":
		s.n = simIDs.Draw(t, "sandbox")
	case "fault":
		s.verb, s.kind = simVerbs.Draw(t, "verb"), simFaults.Draw(t, "fault")
		s.n, s.after = simFew.Draw(t, "times"), simBools.Draw(t, "after")
		if s.kind == "slow" || s.kind == "late" {
			s.d = time.Duration(simSeconds.Draw(t, "seconds")%simLatest+1) * time.Second
		}
	case "list":
		s.kind, s.n = simLists.Draw(t, "list"), simFew.Draw(t, "times")
	case "lie":
		s.verb, s.kind, s.n = simLiars.Draw(t, "verb"), simLies.Draw(t, "lie"), simFew.Draw(t, "times")
	case "swap":
		s.kind = simSwaps.Draw(t, "how")
	case "deadline":
		s.d, s.short = time.Duration(simMillis.Draw(t, "ms"))*time.Millisecond, simBools.Draw(t, "extended")
	case "probe", "store slow":
		s.d = time.Duration(simMillis.Draw(t, "ms")) * time.Millisecond
		if s.do == "probe" {
			s.d *= 15
		}
	case "orphan":
		s.short = simBools.Draw(t, "old")
	case "store fails", "store hangs", "cut":
		s.n, s.after = simFew.Draw(t, "writes"), simBools.Draw(t, "lands")
	}
	return s
})

// simLatest is how many seconds a call may take that goes on after its caller has left.
const simLatest = 30

// simTime draws moments, seconds and minutes.
func simTime(t *rapid.T) time.Duration {
	switch n := simTerms.Draw(t, "term"); {
	case n < 3:
		return time.Duration(simMillis.Draw(t, "ms")+1) * time.Millisecond
	case n < 9:
		return time.Duration(simSeconds.Draw(t, "s")) * time.Second
	default:
		return time.Duration(simMinutes.Draw(t, "m")) * time.Minute
	}
}
