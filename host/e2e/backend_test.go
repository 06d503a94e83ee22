package e2e

import (
	"testing"
	"time"

	"github.com/berth-dev/berth/host"
)

// backend is what a provider runs sandboxes on, at one place, as a test looks at it behind
// Berth's back: what is there, whatever the host says. What can't be done fails the test.
type backend interface {
	// name is the provider's, and that of its block.
	name() string

	// block is the provider's block that works, with more lines in it.
	block(more string) string

	// usual are the attributes of a template that works, and needed the blocks that it
	// can't do without.
	usual() map[string]string
	needed() string

	// sandboxes are those that bear an owner, in every state.
	sandboxes(owner string) []box

	// inspect looks at one sandbox; false: it is gone.
	inspect(id string) (box, bool)

	// kill sends what the sandbox runs SIGKILL, stop ends it as the backend does when it is
	// asked politely, and remove takes it away by force; it may be gone already.
	kill(id string)
	stop(id string)
	remove(id string)

	// freeze stops all of the sandbox from running, without an end; thaw lets it go on.
	freeze(id string)
	thaw(id string)

	// stranger makes a sandbox that runs and that Berth has not made, with these labels
	// or what the backend has for them. It goes with the test.
	stranger(name string, labels map[string]string) string

	// missing is the name of an image that is not there, with the words that say so. come
	// makes it, until the end of the test.
	missing() (image string, words []string, come func())

	// wantAsAsked compares what the backend has of a new session's sandbox with what was
	// asked for: name, labels, mounts, endpoint, and an environment of env alone.
	wantAsAsked(v host.Session, env ...string)

	// differs are the words in which the providers differ.
	differs() words

	// clean removes all that owners have left at the place.
	clean(owners ...string)
}

// box is a sandbox as its backend shows it.
type box struct {
	id, session     string
	running, frozen bool
	made            time.Time
	started         string // another one after another start
}

// words are what providers call the same thing.
type words struct {
	version      string // how its version begins
	id, total    string // attributes of spans: a sandbox's id, how many were listed
	class, cause string // of a command that is not there, on a network that is not there
	noSource     string // about a mount without its source
	badNetwork   string // about a network that is never had
}

// kind is a backend that the suite runs on.
type kind struct {
	name string
	need func(testing.TB) // skips where there is none, with the reason
	at   func(*site) backend

	// detour makes the way to the backend of a place one that can be led elsewhere.
	detour func(*site) detour
}

var (
	dockerKind  = kind{"docker", needDocker, func(s *site) backend { return &onDocker{s} }, gateToDocker}
	processKind = kind{"process", needProcess, newProcesses, disksOfProcesses}
)

// onEach runs a test on each backend, in subtests that are named after them.
func onEach(t *testing.T, test func(*testing.T, kind)) {
	t.Helper()
	t.Parallel()
	for _, on := range []kind{dockerKind, processKind} {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			on.need(t)
			test(t, on)
		})
	}
}

// site makes a place. Whatever its owner has at the backend goes with the test.
func (on kind) site(t testing.TB) *site {
	t.Helper()
	on.need(t)
	s := bareSite(t)
	s.on = on.at(s)
	t.Cleanup(func() { s.on.clean(s.owners()...) })
	return s
}

// sandboxes are those of the place's owner.
func (s *site) sandboxes() []box {
	s.t.Helper()
	return s.on.sandboxes(s.owner)
}

// inspect looks at a sandbox that has to be there.
func (s *site) inspect(id string) box {
	s.t.Helper()
	b, there := s.on.inspect(id)
	if !there {
		s.t.Fatalf("sandbox %s is gone", id)
	}
	return b
}

// gone reports whether a sandbox is no longer there.
func (s *site) gone(id string) bool {
	s.t.Helper()
	_, there := s.on.inspect(id)
	return !there
}
