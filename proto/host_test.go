package proto_test

import (
	"bufio"
	"context"
	"crypto/elliptic"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The cookie and the lifeline, as the README says.
const (
	cookie       = "BERTH_PLUGIN"
	cookieValue  = "d7f3a1c0-berth-provider-plugin"
	lifelineName = "BERTH_LIFELINE_FD"
)

// mock builds the plugin of package mem.
func mock(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "berth-provider-mock")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/berth-dev/berth/plugins/mock/cmd/berth-provider-mock")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// A host that is made of the README alone starts a plugin of this SDK, calls it, and is
// followed by it when it goes.
func TestRawHost(t *testing.T) {
	path := mock(t)
	der, key, err := certify(elliptic.P521())
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := os.MkdirTemp("", "raw") // short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	lifeR, lifeW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer lifeW.Close()
	cmd := exec.Command(path)
	cmd.Env = []string{cookie + "=" + cookieValue, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + sockets,
		"PLUGIN_CLIENT_CERT=" + toPEM(der), lifelineName + "=3"}
	cmd.ExtraFiles = []*os.File{lifeR}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lifeR.Close()
	ended := make(chan struct{})
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out); _ = cmd.Wait(); close(ended) }()
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHandshake(line)
	if err != nil || h.core != "1" || h.protocol != "1" || h.network != "unix" || h.kind != "grpc" || !strings.HasPrefix(h.address, sockets+"/") {
		t.Fatalf("%+v, %v", h, err)
	}
	c, err := dialRaw(h, der, key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	one := func(method string, message []byte) map[string]field {
		t.Helper()
		answers, err := c.call(ctx, method, message)
		if err != nil || len(answers) != 1 {
			t.Fatalf("%s: %d answers, %v", method, len(answers), err)
		}
		named := map[string]field{}
		for n, f := range fields(answers[0]) {
			named[string(rune('0'+n))] = f
		}
		return named
	}
	failed := func(method string, message []byte, code string, class uint64) {
		t.Helper()
		_, err := c.call(ctx, method, message)
		var s *statusError
		if !errors.As(err, &s) || s.code != code {
			t.Errorf("%s: %v, want status %s", method, err, code)
			return
		}
		detail := fields(fields(s.details)[3].b) // of google.rpc.Status: an Any
		if string(detail[1].b) != "type.googleapis.com/berth.provider.v1.ErrorDetail" || fields(detail[2].b)[1].n != class {
			t.Errorf("%s: details %q, want an ErrorDetail of class %d", method, s.details, class)
		}
	}

	if a := one("grpc.health.v1.Health/Check", text(1, "plugin")); a["1"].n != 1 {
		t.Errorf("liveness: %v", a)
	}
	if a := one("berth.provider.v1.Plugin/GetInfo", nil); string(a["1"].b) != "mock" || string(a["2"].b) == "" {
		t.Errorf("GetInfo: %v", a)
	}
	if a := one("berth.provider.v1.Plugin/GetSchema", nil); len(a["1"].b) == 0 || len(a["2"].b) == 0 {
		t.Errorf("GetSchema: %v", a)
	}
	failed("berth.provider.v1.Provider/Identity", nil, "14", 3) // unavailable: not configured
	if a := one("berth.provider.v1.Plugin/ValidateConfig", text(1, `{"reject": "no"}`)); !strings.Contains(string(fields(a["1"].b)[2].b), "no") {
		t.Errorf("ValidateConfig: %v", a)
	}
	if a := one("berth.provider.v1.Plugin/Configure", append(text(1, `{"identity": "raw"}`), text(2, "owner")...)); string(a["1"].b) != "events" { // the last of them
		t.Errorf("Configure: %v", a)
	}
	if a := one("berth.provider.v1.Provider/Identity", nil); string(a["1"].b) != "raw" {
		t.Errorf("Identity: %v", a)
	}
	spec := nested(1, text(1, "berth-owner-1"), text(2, "owner"), text(3, "session"), text(7, "hash"), text(11, "sha256:0"))
	a := one("berth.provider.v1.Provider/Create", spec)
	id := string(fields(a["2"].b)[1].b)
	if a["1"].n != 1 || id == "" || string(a["3"].b) != "raw" {
		t.Errorf("Create: %v", a)
	}
	if a := one("berth.provider.v1.Provider/Create", spec); a["1"].n != 2 || string(fields(a["2"].b)[1].b) != id {
		t.Errorf("Create again is not adopted: %v", a)
	}
	answers, err := c.call(ctx, "berth.provider.v1.Provider/List", nil)
	if err != nil || len(answers) != 2 || fields(answers[0])[1].b == nil || fields(fields(answers[1])[2].b)[1].n != 1 {
		t.Errorf("List: %q, %v; want one sandbox, and complete", answers, err)
	}
	fence := func(session string) []byte { return nested(2, text(1, "owner"), text(2, session)) }
	failed("berth.provider.v1.Provider/Delete", append(text(1, id), fence("other")...), "9", 2)
	if a := one("berth.provider.v1.Provider/Delete", append(text(1, id), fence("session")...)); a["1"].n != 4 {
		t.Errorf("Delete: %v", a)
	}
	if a := one("berth.provider.v1.Provider/Delete", append(text(1, id), fence("session")...)); a["1"].n != 5 {
		t.Errorf("Delete again: %v", a)
	}
	failed("berth.provider.v1.Provider/Get", nested(1, text(1, id)), "5", 1)
	one("berth.provider.v1.Plugin/Drain", nil)
	failed("berth.provider.v1.Provider/Identity", nil, "14", 3) // unavailable: draining

	lifeW.Close()
	select {
	case <-ended:
		if cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("at the end of its lifeline it ended with %v", cmd.ProcessState)
		}
	case <-time.After(5 * time.Second):
		t.Error("it lives after the end of its lifeline")
	}
}

// Without the cookie a plugin serves nobody, and ends with 1.
func TestRawHostWithoutCookie(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), mock(t))
	cmd.Env = []string{"PLUGIN_PROTOCOL_VERSIONS=1"}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || len(out) > 0 || !strings.Contains(string(exit.Stderr), "is a plugin of Berth") {
		t.Errorf("%v, stdout %q", err, out)
	}
}
