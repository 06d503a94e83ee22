package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// TestReloadOfPlugins is about plugins that are processes. The mock binary is built once.
func TestReloadOfPlugins(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "github.com/berth-dev/berth/plugins/mock/cmd/berth-provider-mock")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the mock plugin: %v\n%s", err, out)
	}
	for name, f := range map[string]func(*testing.T, string){
		"changed": pluginsChanged, "added and removed": pluginsAddedAndRemoved, "refused": pluginsRefused,
		"a new binary": newBinary, "stopping": reloadWhileStopping, "stopped in between": stoppedInBetween, "under way": callsUnderWay,
		"twenty": twentyReloads, "mended": mended,
	} {
		t.Run(name, func(t *testing.T) { f(t, bin) })
	}
}

// mocks is a configuration of mock plugins, all on one backend. More goes into the block
// of the first.
func mocks(bin, more string, names ...string) string {
	text := "state_dir = \"DIR/state\"\nplugin_dir = \"" + bin + "\"\n"
	for i, name := range names {
		if i > 0 {
			more = ""
		}
		text += "provider \"" + name + "\" {\n command = \"berth-provider-mock\"\n" + more + "\nconfig {\n state_file = \"DIR/world-" + name + "\"\n}\n}\n" +
			"template \"on-" + name + "\" {\n provider = \"" + name + "\"\n image = \"agent:1\"\n}\n"
	}
	return text
}

func process(t *testing.T, h *host.Host, name string) host.ProviderStatus {
	t.Helper()
	for _, p := range h.Providers() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("there is no provider %q", name)
	return host.ProviderStatus{}
}

// runs reports whether a process is there: a zombie is not.
func runs(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "stat"))
	if err != nil {
		return runtime.GOOS != "linux"
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// environ is a variable of a process.
func environ(t *testing.T, pid int, name string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the environment of a process can be read on Linux alone")
	}
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "environ"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range strings.Split(string(text), "\x00") {
		if key, value, _ := strings.Cut(v, "="); key == name {
			return value
		}
	}
	return ""
}

// A changed block has a new process, which finds the sandboxes.
func pluginsChanged(t *testing.T, bin string) {
	h, dir := ready(t, mocks(bin, `env = { COLOUR = "red" }`, "a"), host.Options{})
	s := create(t, h, request("on-a"))
	before := process(t, h, "a")
	reload(t, h, dir, mocks(bin, `env = { COLOUR = "blue" }`, "a"))
	after := process(t, h, "a")
	if after.State != "ready" || after.Generation != 2 || after.Restarts != 1 || after.PID == before.PID || after.PID == 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if was, is := "red", environ(t, after.PID, "COLOUR"); is != "blue" {
		t.Errorf("the variable was %s and is %s", was, is)
	}
	lives(t, h, s)
	await(t, func() bool { return !runs(before.PID) })
	reload(t, h, dir, strings.Replace(mocks(bin, "", "a"), "config {", "config {\n ip = \"127.0.0.9\"\n port = 99", 1))
	if s := create(t, h, request("on-a")); s.Endpoint != nil && s.Endpoint.IP != "127.0.0.9" {
		t.Errorf("the endpoint of the new config: %+v", s.Endpoint)
	}
	lives(t, h, s)
	if err := h.Delete(within(t), s.ID); err != nil {
		t.Error(err)
	}
}

func pluginsAddedAndRemoved(t *testing.T, bin string) {
	registry := prometheus.NewRegistry()
	h, dir := ready(t, mocks(bin, "", "a"), host.Options{Registerer: registry})
	reload(t, h, dir, mocks(bin, "", "a", "b"))
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	a, b := create(t, h, request("on-a")), create(t, h, request("on-b"))
	pids := []int{process(t, h, "a").PID, process(t, h, "b").PID}

	refuses(t, h, reparse(t, dir, mocks(bin, "", "a")), host.CodeConflict, `"b"`, "1 living session", "delete them first")
	lives(t, h, a)
	lives(t, h, b)
	if now := []int{process(t, h, "a").PID, process(t, h, "b").PID}; now[0] != pids[0] || now[1] != pids[1] {
		t.Errorf("the refused reload replaced %v by %v", pids, now)
	}
	if err := h.Delete(within(t), b.ID); err != nil {
		t.Fatal(err)
	}
	reload(t, h, dir, mocks(bin, "", "a"))
	if runs(pids[1]) {
		t.Error("the process of a provider that is gone is left")
	}
	if list := h.Providers(); len(list) != 1 || list[0].Name != "a" {
		t.Errorf("providers: %+v", list)
	}
	if left := seriesOf(t, registry, "b"); len(left) > 0 {
		t.Errorf("series of a provider that is gone: %v", left)
	}
	if len(seriesOf(t, registry, "a")) == 0 {
		t.Error("no series of the one that stays")
	}
	if _, err := h.Create(within(t), request("on-b")); !errors.Is(err, host.CodeNotFound) {
		t.Errorf("a template that is gone: %v", err)
	}
	if now, err := h.Get(t.Context(), b.ID); err != nil || now.Ended == nil || now.Ended.Reason != host.ReasonDeleted {
		t.Errorf("the terminal record: %+v, %v", now, err)
	}
	lives(t, h, a)
	reload(t, h, dir, mocks(bin, "", "b", "a")) // it may come back, in another order
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if list := h.Providers(); len(list) != 2 || list[0].Name != "b" || list[1].Name != "a" {
		t.Errorf("providers: %+v", list)
	}
	create(t, h, request("on-b"))
	lives(t, h, a)
}

// One provider that can't be had keeps every other as it is.
func pluginsRefused(t *testing.T, bin string) {
	h, dir := ready(t, mocks(bin, "", "a", "b"), host.Options{})
	s := create(t, h, request("on-a"))
	before := h.Providers()
	good := mocks(bin, `env = { COLOUR = "red" }`, "a", "b")
	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"a refusal":   {strings.Replace(good, `state_file = "DIR/world-b"`, `reject = "no such colour"`, 1), []string{`"b"`, "no such colour"}},
		"no binary":   {strings.Replace(good, "provider \"b\" {\n command = \"berth-provider-mock\"", "provider \"b\" {\n command = \"missing\"", 1), []string{`"b"`, "missing"}},
		"a checksum":  {strings.Replace(good, "provider \"b\" {", "provider \"b\" {\n sha256 = \""+strings.Repeat("0", 64)+"\"", 1), []string{`"b"`, "sha256"}},
		"a new block": {good + "provider \"c\" {\n command = \"missing\"\n}\n", []string{`"c"`, "missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, h, reparse(t, dir, c.text), host.CodeInvalidArgument, append(c.words, "nothing has changed")...)
			lives(t, h, s)
			for i, p := range h.Providers() {
				if p.PID != before[i].PID || p.Generation != before[i].Generation || p.State != "ready" {
					t.Errorf("%+v was %+v", p, before[i])
				}
			}
			if names, err := os.ReadDir(filepath.Join(dir, "state", "run")); err != nil || len(names) != 2 {
				t.Errorf("%d sockets, want 2 (%v)", len(names), err)
			}
		})
	}
}

// A reload takes over a binary that was replaced.
func newBinary(t *testing.T, bin string) {
	text, err := os.ReadFile(filepath.Join(bin, "berth-provider-mock"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, dir := parse(t, strings.ReplaceAll(mocks("DIR", "", "a"), "plugin_dir = \"DIR\"", "plugin_dir = \"DIR/bin\""))
	put := func(text []byte) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "bin"), 0o755), os.WriteFile(filepath.Join(dir, "bin", "new"), text, 0o755),
			os.Rename(filepath.Join(dir, "bin", "new"), filepath.Join(dir, "bin", "berth-provider-mock"))); err != nil {
			t.Fatal(err)
		}
	}
	put(text)
	h := run(t, cfg, host.Options{})
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	s := create(t, h, request("on-a"))
	copies := func() []string {
		list, _ := filepath.Glob(filepath.Join(dir, "state", "plugins", "*", "*"))
		return list
	}
	before := copies()
	put(append(text, 0)) // another checksum, the same program
	if err := h.Reload(within(t), cfg); err != nil {
		t.Fatal(err)
	}
	if after := copies(); len(before) != 1 || len(after) != 1 || after[0] == before[0] {
		t.Errorf("copies before %q, after %q", before, after)
	}
	lives(t, h, s)
	put([]byte("#!/bin/sh\nexit 3\n"))
	refuses(t, h, cfg, host.CodeInvalidArgument, "exited with code 3")
	lives(t, h, s)
	if err := h.Delete(within(t), s.ID); err != nil {
		t.Error(err)
	}
}

// The host ends while a reload prepares a plugin that takes its time.
func reloadWhileStopping(t *testing.T, bin string) {
	cfg, dir := parse(t, mocks(bin, "", "a"))
	h, err := host.New(cfg, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	if err := h.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	slow := strings.Replace(mocks(bin, "", "a"), "config {", "config {\n fault {\n verb = \"list\"\n hang = true\n}\n", 1)
	answer := make(chan error, 1)
	go func() { answer <- h.Reload(within(t), reparse(t, dir, slow)) }()
	await(t, func() bool { names, _ := os.ReadDir(filepath.Join(dir, "state", "run")); return len(names) == 2 })
	begun := time.Now()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the host took %s to end", took)
	}
	select {
	case err := <-answer:
		if !errors.Is(err, host.CodeUnavailable) || !strings.Contains(err.Error(), "stopping") {
			t.Errorf("the reload: %v", err)
		}
	case <-within(t).Done():
		t.Error("the reload goes on after Run has returned")
	}
	if names, err := os.ReadDir(filepath.Join(dir, "state", "run")); err != nil || len(names) != 0 {
		t.Errorf("%d sockets are left (%v)", len(names), err)
	}
}

// The host ends at many moments of a reload that adds a plugin and replaces another.
func stoppedInBetween(t *testing.T, bin string) {
	sockets := func(n int) func(*host.Host, string) bool {
		return func(_ *host.Host, dir string) bool {
			names, _ := os.ReadDir(filepath.Join(dir, "state", "run"))
			return len(names) >= n
		}
	}
	for name, reached := range map[string]func(*host.Host, string) bool{
		"at once": sockets(1), "a second process": sockets(2), "a third": sockets(3),
		"its like has taken over": func(h *host.Host, _ string) bool { return process(t, h, "a").Generation == 2 },
		"both blocks hold":        func(h *host.Host, _ string) bool { return len(h.Providers()) == 2 },
	} {
		cfg, dir := parse(t, mocks(bin, "", "a"))
		h, err := host.New(cfg, host.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		if err := h.WaitReady(within(t)); err != nil {
			t.Fatal(err)
		}
		next := reparse(t, dir, mocks(bin, "", "a", "b"))
		answer := make(chan error, 1)
		go func() { answer <- h.Reload(within(t), next) }()
		// It may be over before it was seen at that.
		var answered bool
		await(t, func() bool {
			select {
			case err = <-answer:
				answered = true
			default:
			}
			return answered || reached(h, dir)
		})
		stop()
		if err := <-done; err != nil {
			t.Errorf("%s: Run: %v", name, err)
		}
		if !answered {
			err = <-answer
		}
		t.Logf("%s: the reload says %v", name, err)
		if names, err := os.ReadDir(filepath.Join(dir, "state", "run")); err != nil || len(names) != 0 {
			t.Errorf("%s: %d sockets are left (%v)", name, len(names), err)
		}
	}
}

// What is under way on the old process ends there, and whoever comes meanwhile is served.
func callsUnderWay(t *testing.T, bin string) {
	slow := strings.Replace(mocks(bin, "", "a"), "image = \"agent:1\"", "image = \"agent:1\"\nconfig {\n create_delay = \"7s\"\n}", 1)
	h, dir := ready(t, slow, host.Options{})
	made := make(chan error, 1)
	req := request("on-a")
	go func() {
		_, err := h.Create(within(t), req)
		made <- err
	}()
	await(t, func() bool {
		list, err := h.List(t.Context(), host.Filter{})
		return err == nil && len(list) == 1
	})
	before := process(t, h, "a")
	reload(t, h, dir, mocks(bin, "", "a"))
	if after := process(t, h, "a"); after.PID == before.PID || after.State != "ready" {
		t.Errorf("after the reload: %+v", after)
	}
	create(t, h, request("on-a"))
	if err := <-made; err != nil {
		t.Errorf("the create under way: %v", err)
	}
	await(t, func() bool { return !runs(before.PID) })
	if list, err := h.List(t.Context(), host.Filter{}); err != nil || len(list) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

// Twenty reloads in a row leave as much as one does.
func twentyReloads(t *testing.T, bin string) {
	opts := linked(mem.NewBackend("memory"))
	text := func(i int) string {
		return mocks(bin, fmt.Sprintf("env = { N = \"%d\" }", i), "a", "b") + "provider \"mem\" {}\n" + withTemplate("default", "")
	}
	h, dir := ready(t, text(0), opts)
	s, other := create(t, h, request("on-a")), create(t, h, request("default"))
	settled := func() (goroutines, files int) {
		await(t, func() bool {
			names, err := os.ReadDir(filepath.Join(dir, "state", "run"))
			return err == nil && len(names) == 2
		})
		open, _ := os.ReadDir("/proc/self/fd")
		return runtime.NumGoroutine(), len(open)
	}
	var goroutines, files int
	var pids []int
	for i := 1; i <= 20; i++ {
		pids = append(pids, process(t, h, "a").PID, process(t, h, "b").PID)
		reload(t, h, dir, text(i))
		if i <= 4 {
			g, f := settled()
			goroutines, files = max(goroutines, g), max(files, f)
		}
	}
	await(t, func() bool { g, f := settled(); return g <= goroutines && f <= files })
	await(t, func() bool {
		for _, pid := range pids {
			if runs(pid) {
				return false
			}
		}
		return true
	})
	if p := process(t, h, "a"); p.Generation != 21 || p.Restarts != 20 || p.State != "ready" || environ(t, p.PID, "N") != "20" {
		t.Errorf("%+v", p)
	}
	lives(t, h, s)
	lives(t, h, other)
}

// A reload mends what is MISCONFIGURED or can't be launched, at once.
func mended(t *testing.T, bin string) {
	good := mocks(bin, "", "a", "b")
	bad := strings.Replace(good, `state_file = "DIR/world-a"`, `reject = "no such colour"`, 1)
	bad = strings.Replace(bad, "provider \"b\" {\n command = \"berth-provider-mock\"", "provider \"b\" {\n command = \"missing\"", 1)
	cfg, dir := parse(t, bad)
	h := run(t, cfg, host.Options{Providers: map[string]provider.Plugin{}})
	await(t, func() bool {
		return process(t, h, "a").State == "misconfigured" && process(t, h, "b").State == "backoff"
	})
	reload(t, h, dir, good)
	for _, p := range h.Providers() {
		if p.State != "ready" || p.Reason != "" {
			t.Errorf("%+v", p)
		}
	}
	create(t, h, request("on-a"))
	create(t, h, request("on-b"))
}

// seriesOf names the families that have a series of a provider.
func seriesOf(t *testing.T, from prometheus.Gatherer, provider string) (names []string) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "provider" && l.GetValue() == provider {
					names = append(names, f.GetName())
				}
			}
		}
	}
	return names
}
