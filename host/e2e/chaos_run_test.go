//go:build chaos && linux

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// draw makes the plan of the i-th of so many lanes: rounds, in each of which every point has
// its turn on one of them, and its share of the others comes between.
func (l *lane) draw(i, lanes int) (plan []trouble) {
	kinds := append(slices.Clone(moments), l.on.troubles()...)
	points := slices.DeleteFunc(slices.Clone(crashPoints), func(p crashPoint) bool {
		return !strings.HasPrefix(p.name, "host.") && !strings.HasPrefix(p.name, l.on.provider()+".")
	})
	next := 0
	for round := range perPoint {
		var list []trouble
		for n, p := range points {
			if (n+round)%lanes == i {
				what := []string{"kill", "stop", "fail"}[(round/lanes+n)%3]
				hit := 1 + l.rng.IntN(2)
				list = append(list, trouble{what + " at " + p.name, func(l *lane) bool { return l.atPoint(p.name, what, hit) }})
			}
		}
		for ; next < (round+1)*randomFaults/lanes/perPoint; next++ {
			list = append(list, kinds[next%len(kinds)])
		}
		l.rng.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
		plan = append(plan, list...)
	}
	return slices.DeleteFunc(plan, func(f trouble) bool { return !strings.Contains(f.name, *chaosOnly) })
}

// mostTries is how often a fault that nobody has met is tried anew, of each name and lane.
const mostTries = 8

// calmEvery is how many faults come between two looks at a world that nobody disturbs.
const calmEvery = 15

// run gives the faults of the plan until it is done, or the time is up.
func (l *lane) run(end time.Time) {
	if !l.startHost() {
		return
	}
	l.makeForeign()
	ctx, cancel := context.WithCancel(l.ctx)
	var clients, lookers sync.WaitGroup
	common := uuid.NewString()
	for n := range churners {
		clients.Go(func() { l.churn(ctx, n, common) })
	}
	looking, blind := context.WithCancel(l.ctx)
	lookers.Go(func() { l.audit(looking) })
	lookers.Go(func() { l.watch(looking) })
	defer func() { blind(); lookers.Wait() }()

	again := map[string]int{}
	last := time.Now()
	for n := 0; n < len(l.plan) && l.ctx.Err() == nil; n++ {
		if time.Until(end) < 2*time.Minute {
			l.tally.late = len(l.plan) - n
			break
		}
		f := l.plan[n]
		begun := time.Now()
		switch {
		case f.give(l):
			l.tally.given(f.name)
		case again[f.name] < mostTries: // once more, later
			again[f.name]++
			l.plan = append(l.plan, f)
		default:
			l.tally.missed(f.name)
		}
		if took := time.Since(begun); testing.Verbose() {
			l.t.Logf("%s %s %s: %v", time.Now().UTC().Format("15:04:05.0"), l.name, f.name, took.Round(time.Millisecond))
		}
		l.pause(between(l.rng, 0, 600*time.Millisecond))
		if n%calmEvery == calmEvery-1 {
			begun := time.Now()
			if !l.calm() {
				break
			}
			l.tally.calm(begun.Sub(last), time.Since(begun))
			last = time.Now()
			if l.rng.IntN(3) == 0 {
				l.makeOrphan()
				l.makeAdoptee()
			}
		}
	}
	cancel()
	clients.Wait()
	if l.ctx.Err() == nil && l.calm() {
		l.finish()
	}
}

// finish deletes what is left, and sees that nothing is.
func (l *lane) finish() {
	list, err := l.client.List(l.ctx, host.Filter{})
	if err != nil {
		l.broke("list: %v", err)
	}
	for _, v := range list {
		l.model.mu.Lock()
		p := l.model.of[v.ID]
		l.model.mu.Unlock()
		if p != nil { // else one that was adopted
			l.model.mark(&p.doomed)
		}
		if err := l.client.Delete(l.ctx, v.ID); err != nil {
			l.broke("nothing is in the way, and a delete fails: %v", err)
		}
	}
	left := ""
	for end := time.Now().Add(2 * chaosCreate); ; l.pause(200 * time.Millisecond) {
		list, ok := l.on.listed(l.ctx, l.s.owner)
		left = fmt.Sprint(ok, list)
		if ok && len(list) == 0 || l.ctx.Err() != nil {
			break
		}
		if time.Now().After(end) {
			l.broke("sandboxes are left: %s", left)
		}
	}
	l.mu.Lock()
	cmd, exited := l.host, l.exited
	l.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(patience):
		l.broke("the host does not end at SIGTERM")
	}
	l.nothingRuns()
	if !eventually(5*time.Second, func() bool { return l.on.left() == nil }) {
		l.broke("every session is gone, and these are left: %v", l.on.left())
	}
}

// tally counts what was given.
type tally struct {
	mu         sync.Mutex
	faults     map[string]int
	not        map[string]int
	way        map[string]int
	late       int // for which there was no time
	calms      int
	under, in  time.Duration
	longestEnd time.Duration
}

func (t *tally) add(m *map[string]int, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[name]++
}

func (t *tally) given(name string)  { t.add(&t.faults, name) }
func (t *tally) missed(name string) { t.add(&t.not, name) }
func (t *tally) count(name string)  { t.add(&t.way, name) }

func (t *tally) calm(under, in time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calms++
	t.under += under
	t.in += in
	t.longestEnd = max(t.longestEnd, in)
}

// report tells the seed, the faults given, and what became of every session.
func report(t *testing.T, seed uint64, lanes ...*lane) {
	var b strings.Builder
	fmt.Fprintf(&b, "SEED=%d\n", seed)
	for _, l := range lanes {
		fmt.Fprintf(&b, "\nlane %s: %d looks at a calm world, the longest took %v\n", l.name, l.tally.calms, l.tally.longestEnd.Round(time.Millisecond))
		b.WriteString(l.tally.table())
		for _, name := range slices.Sorted(maps.Keys(l.tally.way)) {
			fmt.Fprintf(&b, "  %4d  %s\n", l.tally.way[name], name)
		}
		if l.tally.late > 0 {
			fmt.Fprintf(&b, "  %4d  NOT given, the time was up: a part of the plan\n", l.tally.late)
		}
		for _, name := range slices.Sorted(maps.Keys(l.tally.not)) {
			fmt.Fprintf(&b, "  %4d  NOT given, nobody passed there: %s\n", l.tally.not[name], name)
		}
		fates := map[string]int{}
		for _, p := range l.model.of {
			fates[p.fate()]++
		}
		fmt.Fprintf(&b, "  what became of %d sessions:\n", len(l.model.of))
		for _, name := range slices.Sorted(maps.Keys(fates)) {
			fmt.Fprintf(&b, "  %4d  %s\n", fates[name], name)
		}
		if t.Context().Err() == nil && l.ctx.Err() != nil {
			all := slices.SortedFunc(maps.Values(l.model.of), func(a, b *promise) int { return a.asked.Compare(b.asked) })
			for _, p := range all[max(0, len(all)-60):] {
				fmt.Fprintf(&b, "  %s\n", p)
			}
		}
	}
	t.Log(b.String())
}

// table has a line for each point, and for each fault given at random moments.
func (t *tally) table() string {
	var b strings.Builder
	lines, how, total := map[string]int{}, map[string][]string{}, 0
	for _, name := range slices.Sorted(maps.Keys(t.faults)) {
		n := t.faults[name]
		total += n
		if what, point, ok := strings.Cut(name, " at "); ok {
			how[point] = append(how[point], fmt.Sprintf("%s %d", what, n))
			name = point
		}
		lines[name] += n
	}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "  %4d  %s", lines[name], name)
		if how[name] != nil {
			fmt.Fprintf(&b, ": %s", strings.Join(how[name], ", "))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "  %4d  faults in all\n", total)
	return b.String()
}

// fate is what became of a session, in a few words.
func (p *promise) fate() string {
	what := "acknowledged"
	if p.acked.IsZero() {
		what = "never acknowledged"
	}
	switch {
	case p.end != nil:
		what += ", ended: " + string(p.end.Reason)
	case p.fateful != "":
		what += ", ended: " + string(p.fateful)
	case !p.deleted.IsZero():
		what += ", delete acknowledged"
	case p.late.IsZero():
		what += ", never there"
	default:
		what += ", gone in time"
	}
	if p.harmed != "" && p.end != nil {
		what += " (" + p.harmed + ")"
	}
	return what
}
