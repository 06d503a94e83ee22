package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/host"
)

// SIGTERM while creates are in flight, after none to all of them were answered, and at ever
// other moments in between: each was acknowledged,
// and its sandbox runs, or has left nothing by the time the host has ended.
func TestPromise5_SIGTERMInMidCreate(t *testing.T) { onEach(t, sigtermInMidCreate) }

func sigtermInMidCreate(t *testing.T, on kind) {
	s := on.site(t).configure(settings{})
	const rounds, creates = 10, 4
	acknowledged, refused := 0, 0
	for round := range rounds {
		d := s.serve(world.bin)
		answers := map[string]host.Session{} // by session; empty: an error
		var mu sync.Mutex
		var calls sync.WaitGroup
		for range creates {
			req := chat()
			req.SessionID = uuid.NewString()
			calls.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				v, err := d.Create(ctx, req)
				if err != nil {
					v = host.Session{}
				}
				mu.Lock()
				defer mu.Unlock()
				answers[req.SessionID] = v
			})
		}
		await(t, patience, "so many creates are answered", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(answers) >= round%(creates+1)
		})
		<-time.After(time.Duration(round) * 20 * time.Millisecond)
		d.terminate()
		calls.Wait()
		d.Close()
		there := map[string]string{} // sandbox of each session
		for _, c := range s.sandboxes() {
			there[c.session] = c.id
		}
		for id, v := range answers {
			switch {
			case v.ID == "" && there[id] != "":
				t.Errorf("round %d: the create of %s was refused, and its sandbox %s is there", round, id, there[id])
			case v.ID != "" && there[id] != v.SandboxID:
				t.Errorf("round %d: the create of %s was acknowledged with %s, and there is %q", round, id, v.SandboxID, there[id])
			case v.ID != "":
				ask(t, v, "/healthz")
				acknowledged++
			default:
				refused++
			}
		}
		for _, id := range there {
			s.on.remove(id) // room for the next round; the next host sees that they have gone
		}
		if err := leftProcesses(s.path("state")); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
	t.Logf("%d acknowledged, %d refused", acknowledged, refused)
	if acknowledged == 0 || refused == 0 {
		t.Errorf("%d were acknowledged and %d refused: the rounds do not meet creates in flight", acknowledged, refused)
	}
}
