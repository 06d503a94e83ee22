package mem

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// Backend is the daemon. Every method may be called concurrently.
type Backend struct {
	mu        sync.Mutex
	file      *file // nil: in memory only
	identity  string
	available bool
	ip        string
	port      int // 0: the Spec's
	user      string
	limits    []provider.Limitation

	boxes  []*box // in the order of their creation
	serial int    // of the last sandbox made

	faults  map[Verb][]*Fault
	calls   map[Verb]int
	changed chan struct{} // closed and replaced at each change; see notify
	streams map[*stream]struct{}

	breach Breach        // of the plugins that are made from now on
	healed chan struct{} // closed and replaced by Heal
	leaked []*os.File    // by LeaksDescriptors
	ghosts []*box        // deleted ones that a breach still shows
}

// box is one sandbox at the backend.
type box struct {
	Sandbox provider.Sandbox // with Endpoint as it is while running
	Exit    provider.Exit    // while the state is exited
	Log     []line

	Stubborn bool // it does not heed the polite signal

	timer *time.Timer // of the setting exit_after
}

// NewBackend returns an empty, available backend. Its identity is what a provider's
// Identity answers.
func NewBackend(identity string) *Backend {
	return &Backend{
		identity:  identity,
		available: true,
		ip:        "127.0.0.1",
		user:      fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()),
		faults:    make(map[Verb][]*Fault),
		calls:     make(map[Verb]int),
		changed:   make(chan struct{}),
		streams:   make(map[*stream]struct{}),
		healed:    make(chan struct{}),
	}
}

// SetAvailable says whether the backend answers. While it does not, every verb but Health
// fails with Unavailable, and event streams break.
func (b *Backend) SetAvailable(available bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.available = available
	if !available {
		b.breakStreams("the backend went away")
	}
	b.notify()
}

// SetIdentity makes it another backend that holds the same sandboxes.
func (b *Backend) SetIdentity(identity string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.identity = identity
	b.notify()
}

// SetEndpoint says where the sandboxes made from now on answer. An empty ip is
// 127.0.0.1, and the port 0 is the one of each Spec.
func (b *Backend) SetEndpoint(ip string, port int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ip == "" {
		ip = "127.0.0.1"
	}
	b.ip, b.port = ip, port
}

// SetUser says what Prepare answers as the image's user: "uid:gid". At first it is the
// user of this process.
func (b *Backend) SetUser(user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.user = user
}

// SetLimitations says what Health answers that this backend can't enforce.
func (b *Backend) SetLimitations(limits ...provider.Limitation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits = limits
}

// Digest is the digest that Prepare answers for an image.
func Digest(image string) string {
	sum := sha256.Sum256([]byte(image))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// notify wakes all that wait for a change. The caller holds mu.
func (b *Backend) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// fail makes an error of this backend.
func fail(class provider.Class, op Verb, id, format string, args ...any) error {
	return &provider.Error{Class: class, Op: string(op), ID: id, Message: fmt.Sprintf(format, args...)}
}
