package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// walker does whatever comes to its mind to a world, and remembers what it was promised.
type walker struct {
	*world
	rand  *rand.Rand
	steps []string

	mu       sync.Mutex
	deadline map[string]time.Time // by try: the latest that was acknowledged
	deleted  map[string]bool      // acknowledged, and on disk
	ensured  map[string]string    // the chat of each session that Ensure answered with
	verbs    sync.WaitGroup
}

// TestRandomWalk takes many short walks. In the end everything is in order again: what was
// promised was kept, and nothing is left over.
func TestRandomWalk(t *testing.T) {
	walks := 200
	if testing.Short() {
		walks = 15
	}
	for seed := range walks {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			longBubble(t, func(t *testing.T, w *world) {
				w.templates[0].ttl = 20 * time.Minute
				k := &walker{world: w, rand: rand.New(rand.NewPCG(uint64(seed), 7)),
					deadline: map[string]time.Time{}, deleted: map[string]bool{}, ensured: map[string]string{}}
				foreign := w.mem.Put(provider.Sandbox{Owner: "other", SessionID: id1})
				for range 60 {
					k.step()
					k.oneOfEachChat()
				}
				k.settle()
				k.oneOfEachChat()
				k.check(foreign)
				if t.Failed() {
					t.Logf("steps: %v\n%s", k.steps, w.log)
				}
			})
		})
	}
}

func (k *walker) id() string {
	return fmt.Sprintf("%08d-0000-4000-8000-000000000000", k.rand.IntN(6))
}

// verb calls a verb and lets it run while the walk goes on.
func (k *walker) verb(f func(ctx context.Context, e *lifecycle.Engine)) {
	e := k.engine
	patience := time.Duration(1+k.rand.IntN(60)) * time.Second
	k.verbs.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		f(ctx, e)
	})
}

func (k *walker) promised(s lifecycle.Session, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && s.ExpiresAt.After(k.deadline[try(s)]) && s.Status != lifecycle.StatusEnded {
		k.deadline[try(s)] = s.ExpiresAt
	}
}

// try tells a session from an earlier one of the same id, which has failed.
func try(s lifecycle.Session) string { return s.ID + s.CreatedAt.String() }

func (k *walker) step() {
	id := k.id()
	n := k.rand.IntN(100)
	k.steps = append(k.steps, fmt.Sprint(n))
	switch {
	case n < 20:
		k.verb(func(ctx context.Context, e *lifecycle.Engine) { k.promised(e.Create(ctx, request(id))) })
	case n < 24:
		k.verb(func(ctx context.Context, e *lifecycle.Engine) { k.promised(e.Create(ctx, request(""))) })
	case n < 36:
		d := time.Duration(1+k.rand.IntN(600)) * time.Second
		k.verb(func(ctx context.Context, e *lifecycle.Engine) { k.promised(e.Extend(ctx, id, by(d))) })
	case n < 41:
		k.verb(func(ctx context.Context, e *lifecycle.Engine) { _, _ = e.Stop(ctx, id) })
	case n < 46:
		store := k.store
		k.verb(func(ctx context.Context, e *lifecycle.Engine) {
			if e.Delete(ctx, id) != nil {
				return
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if rec, _ := store.Record(id); rec.State == lease.Ended && rec.Ended.Reason != lease.Failed {
				k.deleted[id] = true
			}
		})
	case n < 52:
		k.disturb(func(box string) { k.mem.Exit(box, 1, n%2 == 0) })
	case n < 55:
		k.disturb(func(box string) { k.mem.Vanish(box) })
	case n < 60:
		k.fault()
	case n < 63:
		k.store.Fail(leaseFault(1 + k.rand.IntN(3)))
	case n < 65:
		k.store.Delay(time.Duration(k.rand.IntN(2000)) * time.Millisecond)
	case n < 68:
		k.sup.away()
	case n < 74:
		k.up()
	case n < 77:
		k.sup.stop(errors.New("died"))
	case n < 79:
		k.prober.set(time.Duration(k.rand.IntN(40))*time.Second, false)
	case n < 82:
		k.crash()
		k.boot()
		k.up()
	case n < 88:
		req := request("")
		req.ChatID = fmt.Sprintf("0000000%d-0000-4000-8000-000000000000", k.rand.IntN(2))
		k.verb(func(ctx context.Context, e *lifecycle.Engine) { k.gotOne(e.Ensure(ctx, req)) })
	default:
		k.pass(time.Duration(k.rand.IntN(120_000)) * time.Millisecond)
	}
}

func (k *walker) gotOne(s lifecycle.Session, err error) {
	k.promised(s, err)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ensured[s.ID] = s.ChatID
}

// oneOfEachChat checks that of the sessions that Ensure answered with, no two of one chat
// have a sandbox that runs. The chats where it is called have no others.
func (k *walker) oneOfEachChat() {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	living := map[string]string{}
	for _, box := range k.mem.Sandboxes() {
		chat, ok := k.ensured[box.SessionID]
		if !ok || box.State != provider.StateRunning {
			continue
		}
		if s, err := k.engine.Get(box.SessionID); err != nil || s.Status != lifecycle.StatusRunning || !time.Now().Before(s.ExpiresAt) {
			continue
		}
		if other := living[chat]; other != "" {
			k.t.Errorf("after %v the chat %s has %s and %s", k.steps, chat, other, box.SessionID)
		}
		living[chat] = box.SessionID
	}
}

// disturb does something to one of our sandboxes from outside.
func (k *walker) disturb(f func(box string)) {
	for _, box := range k.mem.Sandboxes() {
		if box.Owner == owner && k.rand.IntN(2) == 0 {
			f(box.ID)
			return
		}
	}
}

func (k *walker) fault() {
	verbs := []mem.Verb{mem.Prepare, mem.Create, mem.Get, mem.List, mem.Stop, mem.Delete, mem.Identity}
	f := mem.Fault{Times: 1 + k.rand.IntN(2), After: k.rand.IntN(2) == 0}
	switch k.rand.IntN(4) {
	case 0:
		f.Err = errAway
	case 1:
		f.Err = errors.New("internal")
	case 2:
		f.Hang = true
	case 3:
		f.Delay = time.Duration(k.rand.IntN(30)) * time.Second
	}
	k.mem.Fail(verbs[k.rand.IntN(len(verbs))], f)
}

// up brings the provider back, whatever it is that is wrong with it.
func (k *walker) up() {
	k.mem.SetAvailable(true)
	switch {
	case !k.sup.lives():
		_ = k.sup.start()
	case k.sup.Status().State == lifecycle.Degraded:
		k.sup.recover()
	}
}

// settle ends all faults, and gives everything time.
func (k *walker) settle() {
	k.mem.Clear()
	k.store.Clear()
	k.prober.set(0, false)
	k.up()
	k.verbs.Wait()
	k.up()
	k.pass(7 * time.Minute)
}

func (k *walker) check(foreign string) {
	all, err := k.engine.List(lifecycle.Filter{All: true})
	k.must(err)
	boxes := map[string]provider.Sandbox{}
	for _, box := range k.mem.Sandboxes() {
		boxes[box.ID] = box
	}
	if box := boxes[foreign]; box.State != provider.StateRunning {
		k.t.Errorf("another owner's sandbox was touched: %+v", box)
	}
	delete(boxes, foreign)
	for _, s := range all {
		rec := record(k.t, k.store, s.ID)
		if string(rec.State) != string(s.Status) || !rec.ExpiresAt.Equal(s.ExpiresAt) {
			k.t.Errorf("shown %+v, and on disk %+v", s, rec)
		}
		promised := k.deadline[try(s)]
		switch s.Status {
		case lifecycle.StatusRunning, lifecycle.StatusStopped:
			box, there := boxes[s.SandboxID]
			if !there || (box.State == provider.StateRunning) != (s.Status == lifecycle.StatusRunning) {
				k.t.Errorf("%+v has the sandbox %+v", s, box)
			}
			delete(boxes, s.SandboxID)
			if k.deleted[s.ID] {
				k.t.Errorf("%s was deleted, and is %s", s.ID, s.Status)
			}
			if s.ExpiresAt.Before(promised) {
				k.t.Errorf("%s: %v was promised, and it is %v", s.ID, promised, s.ExpiresAt)
			}
			if !time.Now().Before(s.ExpiresAt) {
				k.t.Errorf("%s is past its deadline, and %s", s.ID, s.Status)
			}
		case lifecycle.StatusEnded:
			if s.Ended.Reason == lease.Expired && (s.Ended.At.Before(promised) || s.Ended.At.Before(s.ExpiresAt)) {
				k.t.Errorf("%s expired at %v, and %v was promised", s.ID, s.Ended.At, promised)
			}
		default:
			k.t.Errorf("%s is still %s", s.ID, s.Status)
		}
	}
	for _, box := range boxes {
		k.t.Errorf("it is left over: %+v", box)
	}
	n := 0
	for _, c := range k.engine.Counts() {
		n += c.N
	}
	if living, _ := k.engine.List(lifecycle.Filter{}); len(living) != n {
		k.t.Errorf("%d are counted, and %d live", n, len(living))
	}
}
