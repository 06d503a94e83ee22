package lifecycle

import (
	"slices"
	"testing"
	"testing/synctest"
)

// Slots are given in the order of asking, also after a change of their number; who leaves
// the queue takes none.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		never := make(chan struct{})
		if !s.take(never, nil) {
			t.Fatal("a free slot is not given")
		}
		leave := make(chan struct{})
		var got []int
		answers := make(chan int, 5)
		for i := range 5 {
			var done chan struct{}
			if i == 1 {
				done = leave
			}
			go func() {
				if s.take(never, done) {
					answers <- i
				} else {
					answers <- -1
				}
			}()
			synctest.Wait()
		}
		close(leave)
		if a := <-answers; a != -1 {
			t.Errorf("%d came before the one who left", a)
		}
		s.resize(3)
		synctest.Wait()
		if s.used != 3 || len(s.waiting) != 2 {
			t.Errorf("%d used and %d waiting after the resize, want 3 and 2", s.used, len(s.waiting))
		}
		got = append(got, <-answers, <-answers)
		slices.Sort(got)
		if !slices.Equal(got, []int{0, 2}) {
			t.Errorf("%v came first, want those who asked first", got)
		}
		s.resize(1)
		s.release()
		s.release()
		synctest.Wait()
		if len(answers) != 0 {
			t.Error("a slot beyond the smaller limit was given")
		}
		s.release()
		if a := <-answers; a != 3 {
			t.Errorf("%d came, want 3", a)
		}
		s.release()
		if a := <-answers; a != 4 {
			t.Errorf("%d came, want 4", a)
		}
		s.release()
		if s.used != 0 || len(s.waiting) != 0 {
			t.Errorf("%d used, %d waiting at the end", s.used, len(s.waiting))
		}
		if s.take(leave, nil) || s.take(never, leave) {
			t.Error("who has left before gets a slot")
		}
	})
}
