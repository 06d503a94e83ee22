//go:build chaos && linux

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// pointWait is how long a point may take until somebody passes it.
const pointWait = 25 * time.Second

// arm asks for something at a point, at its n-th hit from now on.
func (l *lane) arm(point, what string, n int) {
	path := l.s.path("crash/" + point)
	_ = os.Remove(path + ".done")
	err := os.WriteFile(path+".new", fmt.Appendf(nil, "%s %d", what, n), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		l.broke("arm %s: %v", point, err)
	}
}

// fired tells which process has passed an armed point; 0 for none yet.
func (l *lane) fired(point string) int {
	text, _ := os.ReadFile(l.s.path("crash/" + point + ".done"))
	pid, _ := strconv.Atoi(string(text))
	return pid
}

// disarm reports whether it came before the point was passed.
func (l *lane) disarm(point string) bool {
	return os.Remove(l.s.path("crash/"+point)) == nil
}

// awaitFired waits until a point is passed; 0 when nobody does in time.
func (l *lane) awaitFired(point string, within time.Duration) int {
	for end := time.Now().Add(within); time.Now().Before(end); {
		if pid := l.fired(point); pid != 0 {
			return pid
		}
		if !l.pause(10 * time.Millisecond) {
			return 0
		}
	}
	if l.disarm(point) {
		return 0
	}
	// Who has passed it is about to tell, unless it was killed at another point just then.
	for end := time.Now().Add(5 * time.Second); l.fired(point) == 0 && time.Now().Before(end) && l.pause(10*time.Millisecond); {
	}
	return l.fired(point)
}

// atPoint brings something about at a point. It reports whether that happened.
func (l *lane) atPoint(point, what string, n int) bool {
	within := pointWait
	before := leadsTo[point]
	if own := l.on.leadsTo()[point]; own != nil {
		before = own
	}
	if before != nil {
		n, within = 1, 2*pointWait
	}
	l.arm(point, what, n)
	if before != nil {
		before(l)
	}
	pid := l.awaitFired(point, within)
	if pid == 0 {
		l.revive()
		return false
	}
	if what == "fail" { // of a write, perhaps: it is done again within seconds
		l.model.storeFails(false)
	}
	l.afterwards(pid, what)
	return true
}

// afterwards undoes what a process has done to itself: a killed host is started again, and a
// stopped one goes on after a while. A plugin is its host's to care for.
func (l *lane) afterwards(pid int, what string) {
	mine := pid == l.hostPID()
	switch what {
	case "stop":
		if mine {
			l.pause(between(l.rng, 50*time.Millisecond, 2*time.Second))
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	case "kill":
		l.awaitDead(pid)
		l.revive()
	}
}

// awaitDead waits until a process has ended that has killed itself.
func (l *lane) awaitDead(pid int) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || pid == l.hostPID() && l.hostPID() == 0 || dead(string(stat)) {
			break
		}
		if !l.pause(5 * time.Millisecond) {
			return
		}
	}
	l.mu.Lock()
	exited, host := l.exited, l.host
	l.mu.Unlock()
	if host != nil && host.Process.Pid == pid {
		<-exited
	}
}

func dead(stat string) bool {
	for i := len(stat) - 1; i > 0; i-- {
		if stat[i] == ')' {
			return i+2 < len(stat) && stat[i+2] == 'Z'
		}
	}
	return true
}

// leadsTo is what brings a host to points that it seldom passes; grounds know more.
var leadsTo = map[string]func(*lane){
	"host.recover.found":   func(l *lane) { l.first("host.create.ready") },
	"host.death.noticed":   func(l *lane) { l.harm("killed") },
	"host.orphan.deleting": func(l *lane) { l.makeOrphan() },
	"host.adopt.writing":   func(l *lane) { l.makeAdoptee() },
	"host.adopt.written":   func(l *lane) { l.makeAdoptee() },
}

// first kills at another point, before.
func (l *lane) first(point string) {
	l.arm(point, "kill", 1)
	if pid := l.awaitFired(point, pointWait); pid != 0 {
		l.tally.count("on the way: kill at " + point)
		l.afterwards(pid, "kill")
	}
	l.revive()
}
