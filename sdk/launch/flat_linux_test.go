package launch_test

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestFiftyGenerationsLeaveNothing(t *testing.T) {
	o := place(t)
	shut(t, start(t, o)) // whatever is made once
	count := func() (goroutines, fds int) {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(open)
	}
	g0, f0 := count()
	for i := range 50 {
		p := start(t, o)
		if i%2 == 0 {
			p.Kill()
			<-p.Done()
		}
		shut(t, p)
	}
	within(t, 5*time.Second, "goroutines and descriptors are as before", func() bool {
		g, f := count()
		return g <= g0 && f <= f0
	})
	g, f := count()
	t.Logf("goroutines %d → %d, descriptors %d → %d", g0, g, f0, f)
	if left, err := os.ReadDir(o.RunDir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
