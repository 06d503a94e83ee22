package docker

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/berth-dev/berth/sdk/provider"
)

// logChunk is the longest piece of output that is told at a time.
const logChunk = 64 << 10

// Logs reads what a container printed; see [provider.LogReader].
func (p *Provider) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	var stop error // yield's
	err := p.logs(ctx, req, func(c provider.LogChunk) error {
		stop = yield(c)
		return stop
	})
	if err == nil || stop != nil {
		return stop
	}
	return p.failure(ctx, "logs", req.ID, "", "", err)
}

func (p *Provider) logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	c, err := p.inspect(ctx, provider.Ref{ID: req.ID})
	if err != nil {
		return err
	}
	opts := container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: req.Follow}
	if req.Tail > 0 {
		opts.Tail = strconv.Itoa(req.Tail)
	}
	if !req.Since.IsZero() {
		opts.Since = req.Since.UTC().Format(time.RFC3339Nano)
	}
	body, err := p.daemon.client().ContainerLogs(ctx, req.ID, opts)
	if err != nil {
		return err
	}
	defer body.Close()
	stdout := chunkWriter{yield: yield}
	if c.Config != nil && c.Config.Tty { // a terminal's output has no frames, and no stderr
		_, err = io.Copy(stdout, body)
	} else {
		_, err = stdcopy.StdCopy(stdout, chunkWriter{stderr: true, yield: yield}, body)
	}
	return err
}

// chunkWriter tells what is written to it in pieces.
type chunkWriter struct {
	stderr bool
	yield  func(provider.LogChunk) error
}

func (w chunkWriter) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		n := min(len(b), logChunk)
		if err := w.yield(provider.LogChunk{Stderr: w.stderr, Data: bytes.Clone(b[:n])}); err != nil {
			return written, err
		}
		written += n
		b = b[n:]
	}
	return written, nil
}
