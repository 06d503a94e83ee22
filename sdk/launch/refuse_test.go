package launch_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
)

func TestStartRefuses(t *testing.T) {
	longDir := func(o *launch.Options) {
		o.RunDir = filepath.Join(o.RunDir, strings.Repeat("d", 100))
	}
	wrongSum := strings.Repeat("0", 64)
	for _, c := range []struct {
		name   string
		make   func(*testing.T, *launch.Options)
		reason launch.Reason
		words  []string
	}{
		{"missing", func(t *testing.T, o *launch.Options) { o.Path = filepath.Join(t.TempDir(), "nothing") },
			launch.Missing, []string{"there is no file", "nothing", "`command`"}},
		{"directory", func(t *testing.T, o *launch.Options) { o.Path = t.TempDir() },
			launch.NotRegular, []string{"is a directory"}},
		{"named pipe", func(t *testing.T, o *launch.Options) {
			o.Path = filepath.Join(t.TempDir(), "pipe")
			if err := syscall.Mkfifo(o.Path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, launch.NotRegular, []string{"is no regular file"}},
		{"not executable", func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "exit 0")
			if err := os.Chmod(o.Path, 0o644); err != nil {
				t.Fatal(err)
			}
		}, launch.NotExecutable, []string{"no execute permission", "chmod +x"}},
		{"checksum", func(_ *testing.T, o *launch.Options) { o.SHA256 = wrongSum },
			launch.ChecksumMismatch, []string{mockBinary, wrongSum, sumOf(mockBinary), "correct `sha256`"}},
		{"no checksum at all", func(_ *testing.T, o *launch.Options) { o.SHA256 = "abc" },
			launch.InvalidOptions, []string{`"abc"`, "64 hexadecimal digits"}},
		{"relative path", func(_ *testing.T, o *launch.Options) { o.Path = "mock" },
			launch.InvalidOptions, []string{"not absolute"}},
		{"exits at once", func(t *testing.T, o *launch.Options) { o.Path = script(t, "echo out of luck >&2; exit 3") },
			launch.NotAPlugin, []string{"shook no hands", "exited with code 3", "out of luck"}},
		{"prints garbage", func(t *testing.T, o *launch.Options) { o.Path = script(t, "echo hello; echo world; exit 0") },
			launch.NotAPlugin, []string{"shook no hands", "hello", "world"}},
		{"prints garbage for ever", func(t *testing.T, o *launch.Options) { o.Path = script(t, "while :; do echo hello; done") },
			launch.NotAPlugin, []string{"64 lines", "hello"}},
		{"one endless line", func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "exec cat /dev/zero")
			o.StartTimeout = time.Second
		},
			launch.StartTimeout, []string{"within 1s"}},
		{"no program", func(t *testing.T, o *launch.Options) {
			o.Path = filepath.Join(t.TempDir(), "text")
			if err := os.WriteFile(o.Path, []byte("just words\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, launch.NotAPlugin, []string{"can't execute", "another architecture"}},
		{"another protocol version", func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "echo '1|99|unix|/tmp/x|grpc|cert'; exec sleep 60")
		}, launch.ProtocolMismatch, []string{"version 99", "version 1"}},
		{"another core protocol", func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "echo '7|1|unix|/tmp/x|grpc|cert'; exec sleep 60")
		}, launch.ProtocolMismatch, []string{"version 7"}},
		{"net/rpc", func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "echo '1|1|unix|/tmp/x|netrpc|cert'; exec sleep 60")
		}, launch.ProtocolMismatch, []string{"gRPC"}},
		{"no certificate", func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "echo '1|1|unix|/tmp/x|grpc|'; exec sleep 60")
		}, launch.ProtocolMismatch, []string{"no certificate"}},
		{"broken certificate", func(t *testing.T, o *launch.Options) {
			o.Path = script(t, "echo '1|1|unix|/nowhere/x|grpc|"+certificate+"'; exec sleep 60")
		}, launch.ConnectFailed, []string{"did not accept"}},
		{"hangs", func(t *testing.T, o *launch.Options) {
			o.Path, o.StartTimeout = script(t, "exec sleep 60"), 300*time.Millisecond
		}, launch.StartTimeout, []string{"within 300ms"}},
		{"run directory is missing", func(t *testing.T, o *launch.Options) { o.RunDir = filepath.Join(o.RunDir, "x") },
			launch.RunDirFailed, []string{"run directory"}},
		{"run directory is open", func(t *testing.T, o *launch.Options) {
			if err := os.Chmod(o.RunDir, 0o755); err != nil {
				t.Fatal(err)
			}
		}, launch.RunDirFailed, []string{"0700"}},
		{"socket path too long", func(_ *testing.T, o *launch.Options) { longDir(o) },
			launch.PathTooLong, []string{"state_dir"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := place(t)
			c.make(t, &o)
			checkFails(t, t.Context(), o, c.reason, c.words...)
		})
	}
}

// certificate is base64 of a certificate in no more than its length.
const certificate = "MIIBdzCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAAMB4XDTI0MDEwMTAwMDAwMFoX"

func sumOf(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprint(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestPrintsBeforeTheHandshake(t *testing.T) {
	o := place(t)
	logs := record(&o)
	o.Path = script(t, "echo loading; echo '1|x|not a handshake'; exec "+mockBinary)
	p := start(t, o)
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if !logs.has("loading") {
		t.Error("what it printed is not in the log")
	}
}
