package docker

import (
	"bytes"
	"context"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// The bounds of the output that an error carries.
const (
	tailLines = "50"
	tailBytes = 8 << 10
)

// logTail returns the last lines that a container printed, "" when they can't be had.
func (p *Provider) logTail(ctx context.Context, id string) string {
	body, err := p.daemon.client().ContainerLogs(ctx, id, container.LogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: tailLines})
	if err != nil {
		return ""
	}
	defer body.Close()
	tail := &tailBuffer{max: tailBytes}
	_, _ = stdcopy.StdCopy(tail, tail, body) // what was read before an error is worth showing
	return tail.String()
}

// tailBuffer keeps the last bytes that were written to it.
type tailBuffer struct {
	max int
	buf []byte
	cut bool
}

// Write never fails.
func (t *tailBuffer) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.max; over > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[over:]...), true
	}
	return len(b), nil
}

// String returns whole lines of valid UTF-8, without the last newline. A single line
// that is longer than the bound is shown from its middle on.
func (t *tailBuffer) String() string {
	b := t.buf
	if t.cut {
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i+1 < len(b) {
			b = b[i+1:]
		}
	}
	return strings.ToValidUTF8(strings.TrimRight(string(b), "\r\n"), "\uFFFD")
}

// withTail adds a sandbox's last output to an error's text.
func withTail(err error, tail string) error {
	if tail == "" {
		return err
	}
	return &tailed{err: err, tail: tail}
}

type tailed struct {
	err  error
	tail string
}

func (t *tailed) Error() string { return t.err.Error() + "; last output:\n" + t.tail }
func (t *tailed) Unwrap() error { return t.err }
