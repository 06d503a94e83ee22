package supervisor_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// follow reads a sandbox's log to its end. What it reads may be seen once answer has come,
// or after synctest.Wait.
func (b *bench) follow(ctx context.Context) (seen *[]string, answer <-chan error) {
	seen = new([]string)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Logs(ctx, provider.LogsRequest{ID: "box", Follow: true}, func(c provider.LogChunk) error {
			*seen = append(*seen, string(c.Data))
			return nil
		})
	}()
	synctest.Wait()
	return seen, ended
}

// onA makes a sandbox that prints, on the backend A, and waits for READY.
func (b *bench) onA() {
	b.t.Helper()
	b.engine.with(func() { b.engine.identities = []string{"A"} })
	b.backend.Put(provider.Sandbox{ID: "box", State: provider.StateRunning, SessionID: "s", Owner: "owner"})
	b.backend.Print("box", "of A", false)
	b.run()
	b.ready()
}

func TestAFollowedLogEndsWhenTheBackendChanges(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.onA()
		seen, answer := b.follow(context.Background())
		b.backend.Print("box", "still A", false)
		synctest.Wait()
		b.backend.SetIdentity("B")
		b.pass(3 * time.Second)
		select {
		case err := <-answer:
			wantUnavailable(t, err, "backend changed", `"B"`)
		default:
			t.Fatal("the stream stays open")
		}
		b.backend.Print("box", "of B", false)
		synctest.Wait()
		if want := []string{"of A\n", "still A\n"}; !slices.Equal(*seen, want) {
			t.Errorf("read %q, want %q", *seen, want)
		}
		b.refuses("after the change")
		b.backend.SetIdentity("A")
		b.ready()
		if err := b.Logs(t.Context(), provider.LogsRequest{ID: "box"}, func(provider.LogChunk) error { return nil }); err != nil {
			t.Errorf("on the return of A: %v", err)
		}
	})
}

// deafLogs is a provider whose Logs hears of no context: it yields what comes.
type deafLogs struct {
	*mem.Provider
	lines <-chan string
}

func (d deafLogs) Logs(_ context.Context, _ provider.LogsRequest, yield func(provider.LogChunk) error) error {
	for text := range d.lines {
		if yield(provider.LogChunk{Data: []byte(text)}) != nil {
			break
		}
	}
	return nil
}

func TestALogThatGoesOnAfterTheChangeIsNotPassedOn(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		lines := make(chan string, 1)
		b.launcher.change = func(p *mem.Provider) provider.Provider { return deafLogs{p, lines} }
		b.onA()
		seen, answer := b.follow(context.Background())
		lines <- "of A"
		synctest.Wait()
		b.backend.SetIdentity("B")
		b.pass(3 * time.Second)
		lines <- "of B"
		close(lines)
		wantUnavailable(t, <-answer, "backend changed")
		if want := []string{"of A"}; !slices.Equal(*seen, want) {
			t.Errorf("read %q, want %q", *seen, want)
		}
	})
}

func TestAFollowedLogEndsWithItsCaller(t *testing.T) {
	bubble(t, settings{}, func(t *testing.T, b *bench) {
		b.onA()
		ctx, cancel := context.WithCancel(context.Background())
		_, answer := b.follow(ctx)
		cancel()
		if err := <-answer; provider.ClassOf(err) != provider.Canceled {
			t.Errorf("got %v, want Canceled", err)
		}
		_, answer = b.follow(context.Background())
		b.die()
		wantUnavailable(t, <-answer, "ended during the call")
	})
}
