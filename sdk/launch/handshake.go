package launch

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/berth-dev/berth/sdk/internal/wire"
)

const (
	maxSkipped   = 64                     // lines on stdout before the handshake
	shownSkipped = 5                      // of them, in an error
	exitNotice   = 250 * time.Millisecond // for the exit status, when stdout ended first
)

// handshake finds the one line of a plugin's standard output that go-plugin is to see.
type handshake struct {
	opts Options
	line *io.PipeWriter // to go-plugin

	mu      sync.Mutex
	skipped []string
	count   int
	failure *Error // the reason why the line that came was not passed on
	done    bool
}

// accept looks at one line before the handshake, and reports whether it was the last one
// to look at.
func (h *handshake) accept(line string) bool {
	parts := strings.Split(strings.TrimSpace(line), "|")
	if !looksLikeHandshake(parts) {
		return h.skip(line)
	}
	failure := h.judge(parts)
	h.mu.Lock()
	h.done, h.failure = true, failure
	h.mu.Unlock()
	if failure != nil {
		h.line.Close()
		return true
	}
	// The reader is go-plugin; it takes the line, or closes its side.
	_, _ = io.WriteString(h.line, strings.TrimSpace(line)+"\n")
	return true
}

// skip remembers a line that is no handshake.
func (h *handshake) skip(line string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	if len(h.skipped) < shownSkipped {
		h.skipped = append(h.skipped, printable(line, shownBytes))
	}
	if h.count < maxSkipped {
		return false
	}
	h.done = true
	h.failure = h.opts.fail(NotAPlugin, nil, "%s printed %d lines on stdout and no handshake among them: it is no Berth plugin, or prints before sdk.Serve", h.opts.Path, h.count)
	h.line.Close()
	return true
}

// judge checks what go-plugin would refuse in other words, or would not.
func (h *handshake) judge(parts []string) *Error {
	version, _ := strconv.Atoi(parts[1])
	switch {
	case parts[0] != strconv.Itoa(goplugin.CoreProtocolVersion):
		return h.opts.fail(ProtocolMismatch, nil, "%s speaks version %s of go-plugin's own protocol, this host version %d: rebuild the plugin",
			h.opts.Path, parts[0], goplugin.CoreProtocolVersion)
	case wire.PluginSets(wire.Plugin{})[version] == nil:
		return h.opts.fail(ProtocolMismatch, nil, "%s speaks protocol version %s, this host speaks version %d: install a plugin that was built for it",
			h.opts.Path, parts[1], wire.ProtocolVersion)
	case len(parts) < 5 || parts[4] != string(goplugin.ProtocolGRPC):
		return h.opts.fail(ProtocolMismatch, nil, "%s does not serve gRPC: a Berth plugin does", h.opts.Path)
	case len(parts) < 6 || len(parts[5]) <= 50:
		return h.opts.fail(ProtocolMismatch, nil, "%s sent no certificate: a Berth plugin answers PLUGIN_CLIENT_CERT with its own", h.opts.Path)
	case parts[2] == "unix" && len(parts[3]) > maxSocketPath:
		return h.opts.fail(PathTooLong, nil, "its socket path %s is longer than %d characters", parts[3], maxSocketPath)
	}
	return nil
}

// looksLikeHandshake tells a handshake, of whatever version, from other output.
func looksLikeHandshake(parts []string) bool {
	if len(parts) < 4 || parts[2] != "unix" && parts[2] != "tcp" {
		return false
	}
	for _, number := range parts[:2] {
		if _, err := strconv.Atoi(number); err != nil {
			return false
		}
	}
	return parts[3] != ""
}

// printed is what came on stdout and was no handshake, for an error.
func (h *handshake) printed() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count == 0 {
		return ""
	}
	s := strconv.Quote(strings.Join(h.skipped, "\n"))
	if more := h.count - len(h.skipped); more > 0 {
		s += fmt.Sprintf(" and %d more lines", more)
	}
	return s
}

// result tells whether the handshake came, or why what came was refused.
func (h *handshake) result() (came bool, failure *Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done && h.failure == nil, h.failure
}
