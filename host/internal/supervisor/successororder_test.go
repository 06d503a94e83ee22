package supervisor_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// One that has died while it waited says so, and when it is used all the same, its like is
// launched at once.
func TestASuccessorThatDiesBeforeItsUse(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		old, next := b.launcher.last(), b.beside()
		c := b.prepare(next, settings{})
		if err := c.Err(); err != nil {
			t.Error(err)
		}
		next.last().die("exit status 7")
		synctest.Wait()
		if err := c.Err(); err == nil || !contains(err, "exit status 7") {
			t.Errorf("it says %v", err)
		}
		b.goOn(old, 1)
		b.use(c)
		b.ready()
		if n := len(next.launches()); n != 2 || len(b.launcher.launches()) != 1 {
			t.Errorf("%d launches of the new one", n)
		}
		b.goOn(next.last(), 3)
		if !old.drained.Load() {
			t.Error("the old one is left")
		}
	})
}

// What becomes of the old one while its successor is prepared does not matter.
func TestTheOldOneEndsWhileItsSuccessorWaits(t *testing.T) {
	for name, do := range map[string]func(b *bench){
		"dies":            func(b *bench) { b.die() },
		"dies in the end": func(b *bench) { b.launcher.last().die("exit status 7") }, // at the same moment
		"hangs":           func(b *bench) { b.launcher.last().hung.Store(true); b.pass(5 * time.Second) },
		"begins to hang":  func(b *bench) { b.launcher.last().hung.Store(true) },
		"can't come back": func(b *bench) { b.launcher.setFail(errors.New("no such file")); b.die(); b.pass(time.Minute) },
		"is asked in vain": func(b *bench) {
			b.backend.Fail(mem.Health, mem.Fault{Times: 1, Hang: true})
			b.pass(3 * time.Second)
		},
		"starts in vain": func(b *bench) {
			b.backend.Fail(mem.Configure, mem.Fault{Times: 1, Hang: true})
			b.die()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, settings{}, func(t *testing.T, b *bench) {
				b.box()
				b.run()
				b.ready()
				next := b.beside()
				c := b.prepare(next, settings{})
				do(b)
				before := b.Status().Generation
				b.use(c)
				b.ready()
				st := b.Status()
				b.goOn(next.last(), st.Generation)
				if len(next.launches()) != 1 || st.Generation <= before {
					t.Errorf("%d launches, generation %d after %d", len(next.launches()), st.Generation, before)
				}
				b.pass(20 * time.Second)
				for _, x := range b.launcher.lives {
					if !x.over() {
						t.Error("an old one is left")
					}
				}
				if n := b.backend.Streams(); n != 1 {
					t.Errorf("%d streams", n)
				}
				reasons := b.observer.reasons()
				if n := slices.Index(reasons, "reloaded"); n != len(reasons)-1 {
					t.Errorf("restarts: %v", reasons)
				}
			})
		})
	}
}

func TestUseBeforeAndAfterRun(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		next, third := b.beside(), b.beside()
		c := b.prepare(next, settings{})
		used := make(chan error, 1)
		go func() { used <- c.Use(context.Background()) }()
		synctest.Wait()
		b.run()
		if err := <-used; err != nil {
			t.Error(err)
		}
		b.ready()
		b.goOn(next.last(), 1)
		if len(b.launcher.launches()) != 0 {
			t.Error("the first one was launched")
		}
		waits := b.prepare(third, settings{})
		b.stop()
		if third.last().over() {
			t.Error("one that is not used has ended with Run: it is its owner's")
		}
		wantUnavailable(t, waits.Use(t.Context()), "mock", "stopping")
		if !third.last().over() {
			t.Error("used after the end, it is left")
		}
		late := b.prepare(third, settings{})
		late.Discard()
		if !third.last().over() {
			t.Error("discarded after the end, it is left")
		}
	})
}

// Run ends while a successor waits for its turn.
func TestTheEndComesBeforeTheTurn(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.run()
		b.ready()
		next := b.beside()
		c := b.prepare(next, settings{})
		old := b.launcher.last()
		b.backend.Fail(mem.Drain, mem.Fault{Times: 1, Delay: 2 * time.Second}) // Run's goroutine is at it
		b.end()
		synctest.Wait()
		used := make(chan error, 1)
		go func() { used <- c.Use(context.Background()) }()
		b.stop()
		if err := <-used; err == nil {
			t.Error("it says that it has taken over")
		}
		if !old.over() || !next.last().over() {
			t.Error("something is left")
		}
	})
}

func TestTwoSuccessorsInARow(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.box()
		b.run()
		b.ready()
		stop := b.users()
		b.pass(100 * time.Millisecond)
		one, two := b.beside(), b.beside()
		first, second := b.prepare(one, settings{}), b.prepare(two, settings{})
		answers := make(chan error, 2)
		go func() { answers <- first.Use(context.Background()) }()
		go func() { answers <- second.Use(context.Background()) }()
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		b.pass(20 * time.Second)
		stop()
		left := 0
		for _, l := range []*launcher{b.launcher, one, two} {
			if !l.last().over() {
				left++
			}
		}
		if left != 1 || !b.launcher.last().over() || b.backend.Streams() != 1 {
			t.Errorf("%d of 3 are left, %d streams", left, b.backend.Streams())
		}
		for range 20 {
			b.use(b.prepare(b.beside(), settings{}))
		}
		b.ready()
		b.pass(20 * time.Second)
		if b.backend.Streams() != 1 {
			t.Errorf("%d streams after 20 more", b.backend.Streams())
		}
	})
	bubble(t, settings{}, func(t *testing.T, b *bench) { // both before Run: the later one holds
		one, two := b.beside(), b.beside()
		first, second := b.prepare(one, settings{}), b.prepare(two, settings{})
		answers := make(chan error, 2)
		go func() { answers <- first.Use(context.Background()) }()
		synctest.Wait()
		go func() { answers <- second.Use(context.Background()) }()
		synctest.Wait()
		if !one.last().over() {
			t.Error("the first one is left")
		}
		b.run()
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		b.ready()
		if two.last().over() {
			t.Error("the second one does not run")
		}
	})
}
