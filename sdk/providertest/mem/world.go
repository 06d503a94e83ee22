package mem

import (
	"fmt"
	"slices"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// Put adds a sandbox that no call of Create made: of another owner, without one, with
// broken labels (Unreadable set), or one that is older than the host's memory. It fills an
// empty ID, Name, State (running) and CreatedAt, and returns the id. A sandbox of the same
// id is replaced.
func (b *Backend) Put(s provider.Sandbox) string {
	var id string
	b.change(func() error {
		if s.ID == "" {
			s.ID = b.nextID()
		}
		if s.Name == "" {
			s.Name = "put-" + s.ID
		}
		if s.State == "" {
			s.State = provider.StateRunning
		}
		if s.CreatedAt.IsZero() {
			s.CreatedAt = now()
		}
		x := &box{Sandbox: s}
		if s.Exit != nil {
			x.Exit = *s.Exit
		}
		x.Sandbox.Exit = nil
		b.remove(s.ID)
		b.boxes = append(b.boxes, x)
		id = s.ID
		return nil
	})
	return id
}

// PutUnreadable adds a running sandbox that bears a session's labels with values that
// can't be read. List leaves it out and tells it in the summary.
func (b *Backend) PutUnreadable(u provider.Unreadable) string {
	return b.Put(provider.Sandbox{ID: u.ID, Owner: u.Owner, Unreadable: u.Reason})
}

// Exit ends a running sandbox's process from outside, as a crash does. It reports whether
// there was such a sandbox.
func (b *Backend) Exit(id string, code int, oom bool) bool {
	return b.edit(id, func(x *box) bool {
		if x.Sandbox.State == provider.StateExited {
			return false
		}
		b.exit(x, code, oom)
		return true
	})
}

// SetState gives a sandbox a state from outside: paused, unknown, running again. It
// reports whether there was such a sandbox.
func (b *Backend) SetState(id string, state provider.State) bool {
	return b.edit(id, func(x *box) bool {
		x.Sandbox.State = state
		return true
	})
}

// Vanish removes a sandbox from outside. It reports whether there was one.
func (b *Backend) Vanish(id string) bool {
	return b.edit(id, func(x *box) bool {
		b.remove(id)
		b.emit(x, provider.EventRemoved)
		return true
	})
}

// Sandboxes returns all that the backend holds, in the order of their creation,
// unreadable ones included.
func (b *Backend) Sandboxes() []provider.Sandbox {
	var all []provider.Sandbox
	b.change(func() error {
		for _, x := range b.boxes {
			all = append(all, x.inspected())
		}
		return nil
	})
	return all
}

// edit changes the sandbox of that id.
func (b *Backend) edit(id string, f func(*box) bool) bool {
	found := false
	b.change(func() error {
		if x := b.byID(id); x != nil {
			found = f(x)
		}
		return nil
	})
	return found
}

// change runs f on the sandboxes as they are now. It keeps what f did, also in the file,
// and wakes those who wait. A damaged state file is a panic: there is no caller to tell.
func (b *Backend) change(f func() error) {
	if err := b.transact(f); err != nil {
		panic(fmt.Sprintf("mem: %v", err))
	}
}

// transact is change for a verb, which can fail.
func (b *Backend) transact(f func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.notify()
	if b.file == nil {
		return f()
	}
	return b.file.transact(b, f)
}

// The helpers below are called with mu held.

func (b *Backend) nextID() string {
	b.serial++
	return fmt.Sprintf("mem-%s-%06d", b.identity, b.serial)
}

func (b *Backend) byID(id string) *box {
	i := slices.IndexFunc(b.boxes, func(x *box) bool { return x.Sandbox.ID == id })
	if i < 0 || id == "" {
		return nil
	}
	return b.boxes[i]
}

func (b *Backend) byName(name string) *box {
	i := slices.IndexFunc(b.boxes, func(x *box) bool { return x.Sandbox.Name == name })
	if i < 0 || name == "" {
		return nil
	}
	return b.boxes[i]
}

func (b *Backend) remove(id string) {
	b.boxes = slices.DeleteFunc(b.boxes, func(x *box) bool {
		if x.Sandbox.ID != id {
			return false
		}
		x.stopTimer()
		return true
	})
}

func (b *Backend) exit(x *box, code int, oom bool) {
	x.stopTimer()
	x.Sandbox.State = provider.StateExited
	x.Exit = provider.Exit{Code: code, OOMKilled: oom, At: now()}
	b.emit(x, provider.EventExited)
}

func (x *box) stopTimer() {
	if x.timer != nil {
		x.timer.Stop()
	}
}

// listed is the sandbox as List tells it.
func (x *box) listed() provider.Sandbox {
	s := x.Sandbox
	s.Exit = nil
	if s.State != provider.StateRunning {
		s.Endpoint = nil
	} else if s.Endpoint != nil {
		e := *s.Endpoint
		s.Endpoint = &e
	}
	return s
}

// inspected is the sandbox as Get tells it.
func (x *box) inspected() provider.Sandbox {
	s := x.listed()
	if s.State == provider.StateExited {
		e := x.Exit
		s.Exit = &e
	}
	return s
}

// now is the time without the monotonic clock, as a daemon would tell it.
func now() time.Time { return time.Now().UTC().Round(0) }
