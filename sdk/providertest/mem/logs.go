package mem

import (
	"context"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// line is one line of a sandbox's output, with its end.
type line struct {
	At     time.Time
	Stderr bool
	Text   string
}

// Print lets a sandbox print lines. It reports whether there was such a sandbox.
func (b *Backend) Print(id, text string, stderr bool) bool {
	return b.edit(id, func(x *box) bool {
		x.print(text, stderr)
		return true
	})
}

func (x *box) print(text string, stderr bool) {
	for part := range strings.Lines(text) {
		if !strings.HasSuffix(part, "\n") {
			part += "\n"
		}
		x.Log = append(x.Log, line{At: now(), Stderr: stderr, Text: part})
	}
}

// Logs yields a piece for each line.
func (p *Provider) Logs(ctx context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	var (
		wanted []line
		next   int // index in the log of the first line not seen yet
		cut    int
	)
	err := p.verb(ctx, Logs, req.ID, func(f Fault) error {
		x := p.b.byID(req.ID)
		if x == nil {
			return fail(provider.NotFound, Logs, req.ID, "there is no such sandbox")
		}
		cut = f.Cut
		wanted, next = since(x.Log, req.Since), len(x.Log)
		if req.Tail > 0 && len(wanted) > req.Tail {
			wanted = wanted[len(wanted)-req.Tail:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	for sent, over := 0, !req.Follow; ; {
		for _, l := range wanted {
			if cut > 0 && sent == cut {
				return fail(provider.Unavailable, Logs, req.ID, "the log was cut off after %d pieces", cut)
			}
			if err := yield(provider.LogChunk{Stderr: l.Stderr, Data: []byte(l.Text)}); err != nil {
				return err
			}
			sent++
		}
		if over {
			return nil
		}
		if wanted, over, err = p.b.moreLog(ctx, req.ID, &next); err != nil {
			return err
		}
	}
}

// moreLog waits for lines from next on, or for the end of the sandbox.
func (b *Backend) moreLog(ctx context.Context, id string, next *int) (more []line, over bool, err error) {
	for {
		b.mu.Lock()
		changed, available, x := b.changed, b.available, b.byID(id)
		if x != nil && len(x.Log) > *next {
			more = append(more, x.Log[*next:]...)
			*next = len(x.Log)
		}
		over = x == nil || x.Sandbox.State == provider.StateExited
		b.mu.Unlock()
		if !available {
			return nil, false, fail(provider.Unavailable, Logs, id, "the backend went away")
		}
		if over || len(more) > 0 {
			return more, over, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false, canceled(ctx, Logs, id)
		}
	}
}

func since(log []line, t time.Time) []line {
	for i, l := range log {
		if !l.At.Before(t) {
			return append([]line(nil), log[i:]...)
		}
	}
	return nil
}
