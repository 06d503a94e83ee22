package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lease/leasetest"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// sim is a world that a plan is played in, with the model beside it.
type sim struct {
	*world
	began    time.Time
	other    *mem.Backend // an empty one, on which nothing can be created
	foreign  []string     // sandboxes that are not ours
	good     time.Time    // since when nothing is wrong; zero: something is
	verbs    sync.WaitGroup
	watchers sync.WaitGroup
	unwatch  context.CancelFunc

	suspended atomic.Int64 // what the kernel says the machine has slept

	mu       sync.Mutex
	naps     []nap // of the machine, in this life of the host
	broken   error
	told     []string
	life     int           // of the host
	dead     chan struct{} // closed when a cut has ended this life
	over     bool          // then
	cutIn    int           // so many writes from now; 0: never
	cutLands bool
	names    map[string]string
	minted   string // the last session whose id was not ours

	promises []*promise
	promised map[string]*promise // by sandbox
	ensured  map[string]string   // sandbox → chat
	until    map[string]time.Time
	unsure   map[string]bool      // sessions of which a write that has failed may be on disk
	killed   map[string]time.Time // sandboxes that something outside has ended
	strays   int                  // how many there were
	orphaned map[string]*stray    // sandboxes without a session
	doomed   map[string]string    // sandboxes of sessions whose end is intended on disk
	calls    map[string]int       // of stop and delete, in flight
	lastCall map[string]time.Time
	seen     map[string]bool // ends that a watcher was told in this life
	lagged   bool
}

func newSim(w *world) *sim {
	w.limits.SweepInterval, w.limits.CreateTimeout = 20*time.Second, 40*time.Second
	w.limits.RecoveryGrace, w.limits.MaxCreating = 2*time.Minute, 3
	w.templates[0].ttl = 10 * time.Minute
	short := *w.templates[0]
	short.name, short.ttl = "short", 90*time.Second
	w.templates = append(w.templates, &short)
	k := &sim{world: w, began: time.Now(), other: mem.NewBackend("B"),
		names: map[string]string{}, promised: map[string]*promise{}, ensured: map[string]string{},
		until: map[string]time.Time{}, unsure: map[string]bool{}, killed: map[string]time.Time{}, orphaned: map[string]*stray{}, doomed: map[string]string{},
		calls: map[string]int{}, lastCall: map[string]time.Time{}}
	k.other.Fail(mem.Create, mem.Fault{Err: errAway})
	w.options = func(o *lifecycle.Options) {
		o.Store = cutStore{w.store, k}
		o.Suspended = func() time.Duration { return time.Duration(k.suspended.Load()) }
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for i := range 5 {
		k.names[simID(i)] = fmt.Sprint("session ", i)
	}
	k.foreign = []string{
		w.mem.Put(provider.Sandbox{Owner: "other", SessionID: simID(0)}),
		w.mem.Put(provider.Sandbox{Owner: "other", SessionID: "x", Name: "berth-" + owner[:12] + "-" + simID(4)}),
		w.mem.Put(provider.Sandbox{SessionID: simID(1)}),
		w.mem.PutUnreadable(provider.Unreadable{ID: "unreadable", Owner: owner, Reason: "no session id"}),
	}
	return k
}

func simID(i int) string { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }

// target is the id that a step means: the last of them is the last whose id
// the engine has minted.
func (k *sim) target(i int) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i == 4 && k.minted != "" {
		return k.minted
	}
	return simID(i)
}

func (k *sim) at(t time.Time) time.Duration { return t.Sub(k.began) }

func (k *sim) tell(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told = append(k.told, fmt.Sprintf("%9v ", k.at(time.Now()))+fmt.Sprintf(format, args...))
}

// name is a short name for a session, the same in each run of a plan.
func (k *sim) name(id string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.nameLocked(id)
}

func (k *sim) nameLocked(id string) string {
	if k.names[id] == "" {
		k.names[id] = fmt.Sprint("minted session ", len(k.names)-4)
	}
	return k.names[id]
}

// cutStore ends the life of the host at a write of the plan's choice.
type cutStore struct {
	*leasetest.Memory
	k *sim
}

var errKilled = errors.New("the host was killed")

func (c cutStore) Put(ctx context.Context, rec lease.Record) error {
	life, lands := c.k.cutNow()
	if life == nil {
		return c.Memory.Put(ctx, rec)
	}
	if lands {
		_ = c.Memory.Put(ctx, rec)
	}
	c.k.cut(c.Memory, life)
	return errKilled
}

func (c cutStore) Delete(ctx context.Context, id string) error {
	life, lands := c.k.cutNow()
	if life == nil {
		return c.Memory.Delete(ctx, id)
	}
	if lands {
		_ = c.Memory.Delete(ctx, id)
	}
	c.k.cut(c.Memory, life)
	return errKilled
}

// cutNow returns the life that this write ends; nil for none.
func (k *sim) cutNow() (life chan struct{}, lands bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cutIn == 0 {
		return nil, false
	}
	if k.cutIn--; k.cutIn > 0 {
		return nil, false
	}
	return k.dead, k.cutLands
}

// cut lets nothing of this life reach the disk, the provider or a caller any more. The plan
// buries it when all is quiet.
func (k *sim) cut(store *leasetest.Memory, life chan struct{}) {
	k.mu.Lock()
	if k.dead != life || k.over { // it took its time, and that life is over
		k.mu.Unlock()
		return
	}
	k.life++
	k.told = append(k.told, fmt.Sprintf("%9v   the host is cut off", k.at(time.Now())))
	k.over = true
	close(k.dead)
	k.mu.Unlock()
	_ = store.Close()
	k.sup.stop(errKilled)
}

func (k *sim) boot() {
	k.mu.Lock()
	k.dead, k.over, k.cutIn, k.naps = make(chan struct{}), false, 0, nil
	for _, o := range k.orphaned {
		o.first = time.Time{} // each life of the host asks for lists of its own
	}
	k.mu.Unlock()
	k.world.boot()
	k.sup.late = true
	k.sup.asked, k.sup.listed, k.sup.removed = k.leased(k.store), k.listed, k.removed
	k.watchLife()
}

// bury ends the life of the host in the model, after it has ended in the world.
func (k *sim) bury() {
	k.unwatch()
	k.watchers.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.life++
	now := time.Now()
	k.promises = slices.DeleteFunc(k.promises, func(p *promise) bool {
		rec, _ := k.store.Record(p.id)
		switch {
		case p.ended == nil:
			// It may have been ended, with a store that could not write, or its chat may have been
			// given another one; and the next host has not heard of the naps.
			if k.slept(p.created) > 0 && !now.Before(k.earliest(p)) {
				p.again = true
				delete(k.ensured, p.box)
			}
		case rec.State == lease.Ended:
		case now.Before(k.kept(p)):
			p.ended, p.again = nil, true // that could not be written, so it ends once more
		default:
			delete(k.promised, p.box)
			return true
		}
		return false
	})
}

// nap is a sleep of the machine. Here it takes no time: the wall clock was set back by as
// much meanwhile, as it were, so the next host takes what it has cost for not passed.
type nap struct {
	at time.Time
	d  time.Duration
}

func (k *sim) sleep(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.naps = append(k.naps, nap{time.Now(), d})
	k.suspended.Add(int64(d))
}

// slept is how long the machine has since then, in this life of the host.
func (k *sim) slept(since time.Time) (sum time.Duration) {
	for _, n := range k.naps {
		if !n.at.Before(since) {
			sum += n.d
		}
	}
	return sum
}

// crashed ends the life of the host at once, and begins the next.
func (k *sim) crashed() {
	k.mu.Lock()
	k.life++
	k.mu.Unlock()
	k.crash()
	k.bury()
	k.boot()
	k.up()
}

// restarted is a graceful end and the next start.
func (k *sim) restarted() {
	k.stop()
	_ = k.store.Close() // a write that still waits does not land in the next life
	k.bury()
	k.sup.close()
	k.store = k.store.Reopen()
	k.boot()
	k.up()
}

// loseStore starts a host with an empty store. What lives is adopted with the deadline that
// its label says.
func (k *sim) loseStore() {
	k.mu.Lock()
	k.life++
	k.mu.Unlock()
	k.crash()
	k.bury()
	k.mem.Clear()
	k.pass(time.Millisecond)
	k.store = leasetest.New()
	labels := map[string]time.Time{}
	for _, box := range k.mem.Sandboxes() {
		if box.State == provider.StateRunning || box.State == provider.StatePaused {
			labels[box.ID] = box.ExpiresAt
		}
	}
	k.mu.Lock()
	var kept []*promise
	for _, p := range k.promises {
		label, lives := labels[p.box]
		if _, killed := k.killed[p.box]; p.ended == nil && lives && !killed && !k.excused(p) && time.Now().Before(label) {
			p.deadline, p.lost = label, true
			kept = append(kept, p)
			delete(labels, p.box)
		} else {
			delete(k.promised, p.box)
		}
	}
	for box := range labels { // a stop that the old host has sent may still land
		k.killed[box] = time.Now()
		delete(k.ensured, box) // past its deadline it was its chat's no more, and is adopted all the same
	}
	k.promises = kept
	clear(k.until)
	clear(k.doomed)
	clear(k.orphaned) // they are adopted
	k.mu.Unlock()
	k.boot()
	k.up()
}

// up brings the provider back, whatever it is that is wrong with it.
func (k *sim) up() {
	k.mem.SetAvailable(true)
	k.sup.swap(k.mem)
	if st := k.sup.Status(); st.Identity == "B" {
		k.sup.stop(errors.New("backend changed"))
	}
	switch st := k.sup.Status(); {
	case !k.sup.lives():
		_ = k.sup.start()
	case st.State == lifecycle.Degraded:
		k.sup.recover()
	}
	synctest.Wait()
}

// heal ends all faults.
func (k *sim) heal() {
	k.mem.Clear()
	k.store.Clear()
	k.prober.set(0, false)
	k.mu.Lock()
	k.cutIn = 0
	k.mu.Unlock()
	for _, box := range k.mem.Sandboxes() {
		if box.State == provider.StatePaused {
			k.mem.SetState(box.ID, provider.StateRunning)
		}
	}
	k.up()
	if k.good.IsZero() && k.sup.Status().State == lifecycle.Ready {
		k.good = time.Now()
	}
}

// quiet waits until nothing moves, and buries a host that was cut off.
func (k *sim) quiet() {
	synctest.Wait()
	select {
	case <-k.dead:
		k.crashed()
		k.goodAgain()
		synctest.Wait()
	default:
	}
}

// leave ends what a plan has started.
func (k *sim) leave() {
	k.mem.Clear()
	k.verbs.Wait()
	k.unwatch()
	k.watchers.Wait()
}
