package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// messages takes what a reader has waiting.
func messages(s *progress, r *progressReader) []string {
	var out []string
	for _, ev := range s.take(r) {
		out = append(out, ev.Message)
	}
	return out
}

// While a pull goes on, what has changed is told every half second, and every two seconds
// in the log.
func TestProgressOfLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &lockedBuffer{}
		p := &Provider{log: slog.New(slog.NewTextHandler(logs, nil))}
		reader := p.progress.open()
		stream, daemon := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- p.follow(t.Context(), "image", stream) }()
		say := func(id, status string, current, total int64) {
			var m pullMessage
			m.ID, m.Status, m.Progress.Current, m.Progress.Total = id, status, current, total
			if err := json.NewEncoder(daemon).Encode(m); err != nil {
				t.Error(err)
			}
		}
		want := func(texts ...string) {
			t.Helper()
			synctest.Wait()
			if got := messages(&p.progress, reader); !slices.Equal(got, texts) {
				t.Errorf("told %q, want %q", got, texts)
			}
		}
		say("latest", "Pulling from library/x", 0, 0)
		time.Sleep(progressEvery + time.Millisecond)
		want()
		say("a", "Already exists", 0, 0)
		say("b", "Pulling fs layer", 0, 0)
		say("c", "Waiting", 0, 0)
		want()
		time.Sleep(progressEvery)
		want("pulling: 1 of 3 layers")
		say("b", "Downloading", 1<<20, 8<<20)
		say("c", "Downloading", 1<<20, 2<<20)
		time.Sleep(progressEvery)
		want("pulling: 1 of 3 layers, 2.0 MiB of 10.0 MiB")
		time.Sleep(progressEvery)
		want("pulling: 1 of 3 layers, 2.0 MiB of 10.0 MiB") // for the log; the same does no harm
		time.Sleep(4 * progressEvery)
		want()
		say("c", "Pull complete", 0, 0)
		say("b", "Download complete", 0, 0)
		say("b", "Extracting", 5, 6)
		time.Sleep(progressEvery)
		want("pulling: 2 of 3 layers, 10.0 MiB of 10.0 MiB")
		_ = daemon.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want()
		if n := strings.Count(logs.String(), "\n"); n != 1 || !strings.Contains(logs.String(), "2.0 MiB of 10.0 MiB") {
			t.Errorf("the log has:\n%s", logs)
		}
	})
}

// A reader that does not read gets the newest of each image, and of so many images.
func TestProgressIsBounded(t *testing.T) {
	t.Parallel()
	p := &Provider{log: slog.New(slog.DiscardHandler)}
	reader := p.progress.open()
	for n := range 3 * maxProgress {
		for part := range 3 {
			p.tell(t.Context(), fmt.Sprint("image ", n), fmt.Sprint(n, " part ", part))
		}
	}
	got := messages(&p.progress, reader)
	if len(got) != maxProgress || got[0] != "128 part 2" || got[maxProgress-1] != "191 part 2" {
		t.Errorf("%d wait: %q", len(got), got)
	}
	p.progress.close(reader)
	p.tell(t.Context(), "image", "more")
	if got := messages(&p.progress, reader); got != nil || len(p.progress.readers) != 0 {
		t.Errorf("a reader that has left was told %q", got)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := oneLine("a\n\tb  c\r\n"); got != "a b c" {
		t.Errorf("%q", got)
	}
	if got := oneLine(strings.Repeat("é", maxMessage)); len(got) > maxMessage+3 || strings.ContainsRune(got, '\uFFFD') || !strings.HasSuffix(got, "é…") {
		t.Errorf("%q", got)
	}
}

// Events tell of a pull beside what the daemon tells, in order, and name no sandbox.
func TestEventsTellProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: pullAlways})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told, ready, over := make(chan provider.Event, 100), make(chan struct{}), make(chan error, 1)
	go func() {
		over <- r.Events(ctx, func() { close(ready) }, func(ev provider.Event) error {
			if ev.Kind == provider.EventProgress {
				told <- ev
			}
			return nil
		})
	}()
	<-ready
	const image = "127.0.0.1:1/berth/nowhere:one"
	if _, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: image}); err == nil {
		t.Fatal("a registry that nobody serves has an image")
	}
	var last provider.Event
	for !strings.HasPrefix(last.Message, "failed: ") {
		select {
		case last = <-told:
		case <-ctx.Done():
			t.Fatal("no event tells that the pull failed")
		}
		if last.Image != image || last.SandboxID != "" || last.SessionID != "" || last.At.IsZero() || strings.Contains(last.Message, "\n") {
			t.Errorf("told %+v", last)
		}
	}
	cancel()
	if err := <-over; err == nil {
		t.Error("the stream ended without a reason")
	}
}
