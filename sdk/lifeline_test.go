package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/internal/wire"
)

// TestServeBadLifeline wants a plugin that can't hear of its host's end to say so, and
// not to serve.
func TestServeBadLifeline(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, c := range []struct {
		what, number string
		inherited    *os.File // as descriptor 3
		words        string
	}{
		{"closed", "99", nil, "BERTH_LIFELINE_FD is 99: fstat: bad file descriptor; the host leaves the reading end of a pipe open there"},
		{"a file", "3", file, "BERTH_LIFELINE_FD is 3: it is neither a pipe nor a socket"},
		{"the writing end", "3", w, "BERTH_LIFELINE_FD is 3: it is open for writing alone"},
		{"standard error", "2", nil, `BERTH_LIFELINE_FD is \"2\", which is no descriptor; the host sets it to 3 or more`},
		{"empty", "", nil, `BERTH_LIFELINE_FD is \"\", which is no descriptor`},
	} {
		t.Run(c.what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, self)
			cmd.Env = []string{pluginMode + "=1", wire.Handshake.MagicCookieKey + "=" + wire.Handshake.MagicCookieValue,
				wire.LifelineEnv + "=" + c.number, "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + t.TempDir()}
			if c.inherited != nil {
				cmd.ExtraFiles = []*os.File{c.inherited}
			}
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			var exit *exec.ExitError
			if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("ended with %v", err)
			}
			if out.Len() > 0 || !strings.Contains(errs.String(), "the lifeline can't be watched") || !strings.Contains(errs.String(), c.words) {
				t.Errorf("stdout %q, stderr %q, want %q", &out, &errs, c.words)
			}
		})
	}
}
