//go:build chaos && linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// chaosBuild builds berth and the provider with the crash points, and on a standard
// library whose wall clock can be set: time.Now adds what the file says that BERTH_CLOCK
// names. Its monotonic clock goes on, as when somebody sets the clock of a machine.
func chaosBuild(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if bytes.Count(text, []byte(now)) != 1 {
		t.Fatalf("time.Now of %s is not as it was: give chaosBuild its beginning", runtime.Version())
	}
	text = bytes.Replace(text, []byte(now), []byte(now+"\tif clockStep != nil {\n\t\tsec += *clockStep\n\t}\n"), 1)
	files := map[string][]byte{"time.go": text, "clockstep.go": []byte(clockStep)}
	replace := map[string]string{}
	for name, text := range files {
		replace[filepath.Join(source, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	flags := []string{"GOFLAGS=-tags=crashpoints -overlay=" + filepath.Join(dir, "overlay.json")}
	begun := time.Now()
	if err := build(t.Context(), bin+"/", flags, "./host/cmd/berth", "./plugins/"+*chaosProvider+"/cmd/berth-provider-"+*chaosProvider); err != nil {
		t.Fatal(err)
	}
	t.Logf("built with crash points and a clock that can be set, in %v", time.Since(begun).Round(time.Second))
	return bin
}

// clockStep is one more file of package time.
const clockStep = `package time

import (
	"syscall"
	"unsafe"
)

// clockStep is how many seconds the wall clock is ahead, in a page of a file; nil for none.
var clockStep = func() *int64 {
	path, ok := syscall.Getenv("BERTH_CLOCK")
	if !ok {
		return nil
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	page, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil
	}
	return (*int64)(unsafe.Pointer(&page[0]))
}()
`

// clockBytes is a step as the file has it.
func clockBytes(step time.Duration) []byte {
	return binary.NativeEndian.AppendUint64(nil, uint64(step/time.Second))
}
