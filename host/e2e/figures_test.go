package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// figures are the lines of the table that TestFigures prints.
type figures struct {
	t     *testing.T
	lines [][3]string
}

// within notes a time, and fails the test when it is over its bound. 0: no bound.
func (f *figures) within(what string, took, bound time.Duration) {
	f.t.Helper()
	limit := "-"
	if bound > 0 {
		limit = "≤ " + bound.String()
	}
	f.lines = append(f.lines, [3]string{what, took.Round(100 * time.Microsecond).String(), limit})
	if bound > 0 && took > bound {
		f.t.Errorf("%s: %s, over %s", what, took, bound)
	}
}

func (f *figures) note(what, format string, args ...any) {
	f.lines = append(f.lines, [3]string{what, fmt.Sprintf(format, args...), "-"})
}

func (f *figures) print() {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range append([][3]string{{"FIGURE", "MEASURED", "BOUND"}}, f.lines...) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l[0], l[1], l[2])
	}
	w.Flush()
	f.t.Logf("the supervisor's figures, %s, %d processors:\n%s", runtime.GOOS+"/"+runtime.GOARCH, runtime.NumCPU(), b.String())
}

// The supervisor's figures: how soon a plugin's crash and hang are noticed and mended, and
// what its other bad habits cost. They are measured one after the other, each on a host
// process and plugin processes of its own.
func TestFigures(t *testing.T) {
	f := &figures{t: t}
	for _, m := range []struct {
		name string
		run  func(*testing.T, *figures)
	}{
		{"crash", figureCrash}, {"hang", figureHang}, {"host killed", figureHostKilled}, {"grandchild", figureGrandchild},
		{"ignores SIGTERM", figureIgnoresSIGTERM}, {"flood", figureFlood}, {"garbage", figureGarbage}, {"too much", figureTooMuch},
		{"backend hangs", figureBackendHangs},
	} {
		t.Run(m.name, func(t *testing.T) { m.run(t, f) })
	}
	f.print()
}

// mocked is a host with a mock plugin whose sandboxes stay in a file.
func mocked(t *testing.T, more, config string) (*site, *remote) {
	t.Helper()
	s := bareSite(t)
	s.configure(settings{noDocker: true, more: "provider \"mock\" {\n" + more + "  config {\n    state_file = " + quote(s.path("world")) + "\n" + config + "  }\n}\n" +
		mockTemplate("on-mock", "mock")})
	return s, s.start()
}

func onMock() host.CreateRequest {
	return host.CreateRequest{Template: "on-mock", ChatID: uuid.NewString(), TTL: time.Hour}
}

// measure tells how long it takes until a condition holds.
func measure(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(begun) > patience {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
	return time.Since(begun)
}

// mend signals a plugin's process, and notes how soon that is noticed, by its words in the
// log, and how soon the next create is done.
func mend(t *testing.T, f *figures, h *remote, sig syscall.Signal, what, words string, noticed time.Duration) {
	t.Helper()
	before := h.provider("mock")
	v := h.create(onMock())
	begun := time.Now()
	if err := syscall.Kill(before.PID, sig); err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	defer work.Wait()
	served := make(chan time.Duration, 1)
	work.Go(func() {
		for time.Since(begun) < patience {
			if _, err := h.do(order{Verb: "create", Create: onMock()}); err == nil {
				served <- time.Since(begun)
				return
			}
		}
	})
	f.within(what+": noticed", measure(t, "it is noticed", func() bool { return strings.Contains(h.logs.String(), words) }), noticed)
	select {
	case took := <-served:
		f.within(what+": next call served", took, 6*time.Second)
	case <-time.After(patience):
		t.Fatal("no create is served")
	}
	if p := h.provider("mock"); p.Generation != before.Generation+1 {
		t.Errorf("generation %d, after %d", p.Generation, before.Generation)
	}
	if now := h.get(v.ID); now.Status != host.StatusRunning || now.SandboxID != v.SandboxID {
		t.Errorf("the session: %+v", now)
	}
}

func figureCrash(t *testing.T, f *figures) {
	_, h := mocked(t, "", "")
	mend(t, f, h.ready(), syscall.SIGKILL, "plugin killed", "has died: plugin", time.Second)
}

func figureHang(t *testing.T, f *figures) {
	_, h := mocked(t, "", "")
	mend(t, f, h.ready(), syscall.SIGSTOP, "plugin stopped (SIGSTOP)", "hung: 3 pings in a row had no answer", 4*time.Second)
}

func figureHostKilled(t *testing.T, f *figures) {
	s, h := mocked(t, "", "")
	h.ready().create(onMock())
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-h.exited
	f.within("host killed: its plugins gone", measure(t, "its plugins are gone", func() bool { return leftProcesses(s.path("state")) == nil }), time.Second)
}

// A grandchild in a session of its own, which no kill of the plugin's group reaches, keeps
// both of the plugin's pipes.
func figureGrandchild(t *testing.T, f *figures) {
	s := bareSite(t)
	pids := func() (pids []int) {
		text, _ := os.ReadFile(s.path("grandchildren"))
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	t.Cleanup(func() {
		for _, pid := range pids() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	s.configure(settings{noDocker: true, more: "provider \"mock\" {\n" +
		s.script("holder", "setsid sleep 120 &\necho $! >> "+s.path("grandchildren")+"\nexec "+world.bin+"/berth-provider-mock") +
		"  config {\n    state_file = " + quote(s.path("world")) + "\n  }\n}\n" + mockTemplate("on-mock", "mock")})
	h := s.start().ready()
	mend(t, f, h, syscall.SIGKILL, "killed while a grandchild holds its pipes", "has died: plugin", time.Second)
	first := pids()[0]
	if err := syscall.Kill(first, 0); err != nil {
		t.Errorf("the grandchild %d is gone (%v): nothing was held", first, err)
	}
}

func figureIgnoresSIGTERM(t *testing.T, f *figures) {
	s, h := mocked(t, "", "    ignore_sigterm = true\n")
	h.ready()
	begun := time.Now()
	h.terminate()
	f.within("plugin ignores SIGTERM: host ended, with the plugin", time.Since(begun), 15*time.Second)
	wantWords(t, "the log", h.logs.String(), "the plugin ignored SIGTERM and is killed")
	if err := leftProcesses(s.path("state")); err != nil {
		t.Error(err)
	}
}

// peak is the most memory that a process had so far, in bytes; 0 where that can't be told.
func peak(t *testing.T, pid int) int {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("no peak in\n%s", text)
	}
	kib, _ := strconv.Atoi(m[1])
	return kib << 10
}

// wantPeak notes how much more memory a host had than one whose plugin is well.
func wantPeak(t *testing.T, f *figures, what string, h *remote, usual, most int) {
	t.Helper()
	more := peak(t, h.pid()) - usual
	f.note(what, "%.1f MiB (≤ %d MiB)", float64(more)/(1<<20), most>>20)
	if more > most {
		t.Errorf("%s: %d bytes, over %d", what, more, most)
	}
}

// usualPeak is that of a host whose plugin is well.
func usualPeak(t *testing.T) int {
	_, h := mocked(t, "", "")
	h.ready().create(onMock())
	return peak(t, h.pid())
}

// What a plugin logs beyond the limits is counted, and takes no memory.
func figureFlood(t *testing.T, f *figures) {
	const flood = 400_000
	usual := usualPeak(t)
	begun := time.Now()
	_, h := mocked(t, "", fmt.Sprintf("    log_lines = %d\n", flood))
	h.ready()
	f.within("a log of 400,000 lines: ready in spite of it", time.Since(begun), 0)
	dropped := regexp.MustCompile(`lines were dropped.* dropped=(\d+)`)
	passed, lost := 0, 0
	await(t, patience, "every line was logged or counted", func() bool {
		text := h.logs.String()
		passed, lost = strings.Count(text, "noise, line "), 0
		for _, m := range dropped.FindAllStringSubmatch(text, -1) {
			n, _ := strconv.Atoi(m[1])
			lost += n
		}
		return passed+lost >= flood
	})
	if passed+lost != flood {
		t.Errorf("%d logged and %d counted, of %d", passed, lost, flood)
	}
	f.note("the same: logged, counted", "%d, %d", passed, lost)
	wantPeak(t, f, "the same: memory beyond a quiet plugin's host", h, usual, 64<<20)
}

// A plugin that shakes hands, and then answers with random bytes where HTTP/2 is due.
func figureGarbage(t *testing.T, f *figures) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := bareSite(t)
	s.configure(settings{noDocker: true, more: "provider \"mock\" {\n" + command(self) + "  env = { " + garbageEnv + " = \"1\" }\n}\n" +
		"provider \"good\" {\n  command = \"berth-provider-mock\"\n}\n" + mockTemplate("on-mock", "mock") + mockTemplate("on-good", "good")})
	begun := time.Now()
	h := s.start()
	await(t, patience, "it is given up, for now", func() bool { return h.provider("mock").State == "backoff" })
	f.within("garbage after the handshake: refused", time.Since(begun), 30*time.Second)
	f.note("the same: the reason", "%.90s…", strings.ReplaceAll(h.provider("mock").Reason, "\n", " "))
	await(t, patience, "the other provider is ready", func() bool { return h.provider("good").State == "ready" })
	h.create(host.CreateRequest{Template: "on-good", ChatID: uuid.NewString()})
	if p := h.provider("good"); p.Generation != 1 {
		t.Errorf("the other plugin is in generation %d", p.Generation)
	}
}

// A list with an item of 17 MiB.
func figureTooMuch(t *testing.T, f *figures) {
	usual := usualPeak(t)
	s, h := mocked(t, "", "")
	v := h.ready().create(onMock())
	h.terminate()
	s.configure(settings{noDocker: true, more: "provider \"mock\" {\n  config {\n    state_file = " + quote(s.path("world")) + "\n" + says("list", `lie = "huge"`) + "  }\n}\n" +
		mockTemplate("on-mock", "mock")})
	begun := time.Now()
	h = s.start()
	await(t, patience, "it is degraded", func() bool { return h.provider("mock").State == "degraded" })
	f.within("a list item of 17 MiB: refused", time.Since(begun), 30*time.Second)
	p := h.provider("mock")
	wantWords(t, "the reason", p.Reason, "larger than max")
	if p.Generation != 1 || p.Restarts != 0 {
		t.Errorf("the plugin was replaced: %+v", p)
	}
	if now := h.get(v.ID); now.SandboxID != v.SandboxID || now.Ended != nil {
		t.Errorf("the session: %+v", now)
	}
	wantPeak(t, f, "the same: memory beyond a good list's host", h, usual, 64<<20)
	if n := h.scrape()[`berth_plugin_bad_answers_total{method="list",provider="mock"}`]; n < 1 {
		t.Errorf("%v such answers were counted", n)
	}
}

// A backend that hangs: its plugin is not killed, and what is known is answered.
func figureBackendHangs(t *testing.T, f *figures) {
	hangs := ""
	for _, verb := range []string{"health", "get", "list", "stop", "delete", "identity"} {
		hangs += says(verb, "times = 3") + says(verb, "hang = true")
	}
	_, h := mocked(t, "", hangs)
	v := h.ready().create(onMock())
	before := h.provider("mock")
	f.within("backend hangs: degraded (three good polls, 2 s apart, then 5 s without an answer)", measure(t, "it is degraded", func() bool {
		return h.provider("mock").State == "degraded"
	}), 15*time.Second)
	var gets, lists []time.Duration
	timed := func(o order) time.Duration {
		begun := time.Now()
		h.must(o)
		return time.Since(begun)
	}
	holds(t, time.Now().Add(8*time.Second), "the plugin lives, and what is known is answered", func() bool {
		gets, lists = append(gets, timed(order{Verb: "get", Session: v.ID})), append(lists, timed(order{Verb: "list"}))
		p := h.provider("mock")
		return p.State == "degraded" && p.Generation == before.Generation && p.PID == before.PID
	})
	f.within("the same: the slowest of "+strconv.Itoa(len(gets))+" gets meanwhile", slices.Max(gets), time.Second)
	f.within("the same: the slowest list", slices.Max(lists), time.Second)
	if n := h.scrape()[`berth_plugin_restarts_total{provider="mock",reason="hung"}`]; n != 0 {
		t.Errorf("%v restarts", n)
	}
	if now := h.get(v.ID); now.Status != host.StatusUnknown || now.SandboxID != v.SandboxID {
		t.Errorf("the session: %+v", now)
	}
}
