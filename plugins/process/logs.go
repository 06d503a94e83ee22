//go:build linux

package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-dev/berth/plugins/process/internal/outlog"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	followEvery = 25 * time.Millisecond // between looks for more of a log that is followed
	tailLines   = 50                    // of a failed create, in its error
	tailBytes   = 16 << 10
)

// Logs reads what a sandbox printed; see [provider.LogReader]. What was dropped because of
// the log's caps is not told.
func (p *Provider) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	var stop error // yield's
	err := p.logs(ctx, req, func(c provider.LogChunk) error {
		stop = yield(c)
		return stop
	})
	if err == nil || stop != nil {
		return stop
	}
	return failure(ctx, "logs", req.ID, "", "", err)
}

func (p *Provider) logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	b, err := p.dir.find(req.ID)
	if err != nil {
		return err
	}
	r, err := openLog(b.dir, b.rec.LogFiles)
	if err != nil {
		return err
	}
	defer r.close()
	var have []outlog.Frame
	for {
		f, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if f.At.Before(req.Since) {
			continue
		}
		if req.Tail > 0 {
			have = append(have, f)
			continue
		}
		if err := yieldFrame(ctx, f, yield); err != nil {
			return err
		}
	}
	for _, f := range tailOf(have, req.Tail) {
		if err := yieldFrame(ctx, f, yield); err != nil {
			return err
		}
	}
	if !req.Follow {
		return nil
	}
	return follow(ctx, b, r, yield)
}

// follow tells what comes, until the sandbox has ended.
func follow(ctx context.Context, b *box, r *logReader, yield func(provider.LogChunk) error) error {
	for {
		now, err := look(b.dir)
		gone := errors.Is(err, fs.ErrNotExist) || err == nil && now.rec.ID != b.rec.ID
		if err != nil && !gone {
			return err
		}
		over := gone || !now.held // asked before the rest is read: then it is the rest
		for {
			f, err := r.next()
			if errors.Is(err, io.EOF) || gone && errors.Is(err, fs.ErrNotExist) {
				break
			}
			if err != nil {
				return err
			}
			if err := yieldFrame(ctx, f, yield); err != nil {
				return err
			}
		}
		if over {
			return nil
		}
		if err := pause(ctx, followEvery); err != nil {
			return err
		}
	}
}

func yieldFrame(ctx context.Context, f outlog.Frame, yield func(provider.LogChunk) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return yield(provider.LogChunk{Stderr: f.Stderr, Data: f.Data})
}

// tailOf returns the last n lines of frames, whole and in order.
func tailOf(frames []outlog.Frame, n int) []outlog.Frame {
	if n <= 0 {
		return frames
	}
	last := true // an end of line at the very end begins no other line
	for i, f := range slices.Backward(frames) {
		for at := len(f.Data); ; {
			at = bytes.LastIndexByte(f.Data[:at], '\n')
			if at < 0 {
				break
			}
			if last && at == len(f.Data)-1 {
				last = false
				continue
			}
			if n--; n == 0 {
				rest := slices.Clone(frames[i:])
				if rest[0].Data = f.Data[at+1:]; len(rest[0].Data) == 0 {
					rest = rest[1:]
				}
				return rest
			}
		}
		last = false
	}
	return frames
}

// logReader reads a log's pieces one after the other, also while they are moved.
type logReader struct {
	path  string
	files int
	open  []*os.File // the piece that is read, and those after it that were there
}

func openLog(dir string, files int) (*logReader, error) {
	r := &logReader{path: filepath.Join(dir, stage.FileLog), files: max(1, files)}
	var err error
	r.open, err = outlog.Open(r.path, r.files)
	return r, err
}

func (r *logReader) close() {
	for _, f := range r.open {
		f.Close()
	}
}

// next returns the next frame; io.EOF: there is none yet.
func (r *logReader) next() (outlog.Frame, error) {
	for {
		if len(r.open) == 0 {
			var err error
			if r.open, err = outlog.Open(r.path, r.files); err != nil {
				return outlog.Frame{}, err
			}
			if len(r.open) == 0 {
				return outlog.Frame{}, io.EOF
			}
		}
		f, err := outlog.Read(r.open[0])
		if !errors.Is(err, io.EOF) {
			return f, err
		}
		if len(r.open) == 1 {
			more, err := r.after(r.open[0])
			if err != nil {
				return outlog.Frame{}, err
			}
			if len(more) == 0 {
				return outlog.Frame{}, io.EOF
			}
			// It was moved while we read: what was written until then is still to come.
			if f, err := outlog.Read(r.open[0]); !errors.Is(err, io.EOF) {
				for _, m := range more {
					m.Close()
				}
				return f, err
			}
			r.open = append(r.open, more...)
		}
		r.open[0].Close()
		r.open = r.open[1:]
	}
}

// after returns the pieces that are newer than f; all of them when f has been dropped.
func (r *logReader) after(f *os.File) ([]*os.File, error) {
	all, err := outlog.Open(r.path, r.files)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for i, other := range all {
		if o, err := other.Stat(); err == nil && os.SameFile(info, o) {
			for _, old := range all[:i+1] {
				old.Close()
			}
			return all[i+1:], nil
		}
	}
	return all, nil
}

// logTail is the end of what a sandbox printed, for an error.
func (p *Provider) logTail(dir string, files int) string {
	r, err := openLog(dir, files)
	if err != nil {
		return ""
	}
	defer r.close()
	var have []outlog.Frame
	for {
		f, err := r.next()
		if err != nil {
			break
		}
		have = append(have, f)
	}
	var text strings.Builder
	for _, f := range tailOf(have, tailLines) {
		text.Write(f.Data)
	}
	s := text.String()
	if len(s) > tailBytes {
		s = s[len(s)-tailBytes:]
	}
	return strings.ToValidUTF8(strings.TrimRight(s, "\n"), "�")
}
