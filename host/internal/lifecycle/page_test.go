package lifecycle_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// fill makes n sessions, of a hundred at each of the engine's instants. Their ids are in no
// order, and every tenth is of the agent "tenth".
func (w *world) fill(n int) []string {
	w.t.Helper()
	var ids []string
	r := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range n {
		req := request(fmt.Sprintf("%08x-0000-4000-8000-%012x", r.Uint32(), i))
		if i%10 == 0 {
			req.AgentID = "tenth"
		}
		req.Metadata = map[string]string{"k": "v"}
		s, err := w.engine.Create(w.t.Context(), req)
		w.must(err)
		ids = append(ids, s.ID)
		if i%100 == 99 {
			w.pass(time.Millisecond)
		}
	}
	return ids
}

// walk goes from page to page and calls meanwhile between them.
func (w *world) walk(f lifecycle.Filter, size int, meanwhile func()) (pages [][]lifecycle.Session) {
	w.t.Helper()
	for page := (api.Page{Size: size}); ; {
		list, next, err := w.engine.ListPage(f, page)
		w.must(err)
		pages = append(pages, list)
		if next == nil {
			return pages
		}
		page.After = *next
		if meanwhile != nil {
			meanwhile()
		}
	}
}

// roomy makes room for many sessions that live long.
func roomy(w *world) {
	w.limits.MaxSessions = 20000
	w.templates[0].ttl = 3 * time.Hour
	w.start()
}

// While sessions come and go, each that lives all the time is seen once, in order.
func TestListPageUnderChurn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		roomy(w)
		ids := w.fill(2500)
		r := rand.New(rand.NewPCG(3, 4))
		gone := map[string]bool{}
		churn := func() {
			for range 5 {
				id := ids[r.IntN(len(ids))]
				gone[id] = true
				w.must(w.engine.Delete(t.Context(), id))
				w.create("")
				w.pass(time.Microsecond)
			}
		}
		seen := map[string]int{}
		var last lifecycle.Session
		pages := w.walk(lifecycle.Filter{}, 100, churn)
		for i, page := range pages {
			if len(page) > 100 || len(page) < 100 && i < len(pages)-1 {
				t.Errorf("page %d has %d", i, len(page))
			}
			for _, s := range page {
				if seen[s.ID]++; seen[s.ID] > 1 {
					t.Errorf("%s comes twice", s.ID)
				}
				if c := last.CreatedAt.Compare(s.CreatedAt); c > 0 || c == 0 && last.ID >= s.ID {
					t.Errorf("%v %s comes after %v %s", s.CreatedAt, s.ID, last.CreatedAt, last.ID)
				}
				last = s
			}
		}
		for _, id := range ids {
			if seen[id] == 0 && !gone[id] {
				t.Errorf("%s lived all the time and was not seen", id)
			}
		}
		if len(gone) < 50 {
			t.Errorf("only %d went meanwhile", len(gone))
		}
	})
}

// The pages together are the list.
func TestListPageIsList(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		roomy(w)
		ids := w.fill(100)
		for _, id := range ids[:20] {
			w.must(w.engine.Delete(t.Context(), id))
		}
		for name, c := range map[string]struct {
			filter lifecycle.Filter
			n      int
		}{
			"living":    {lifecycle.Filter{}, 80},
			"all":       {lifecycle.Filter{All: true}, 100},
			"ended":     {lifecycle.Filter{Status: lifecycle.StatusEnded}, 20},
			"agent":     {lifecycle.Filter{AgentID: "tenth"}, 8},
			"all agent": {lifecycle.Filter{AgentID: "tenth", All: true}, 10},
			"template":  {lifecycle.Filter{Template: "nosuch"}, 0},
			"chat":      {lifecycle.Filter{ChatID: "{" + chat + "}"}, 80},
		} {
			want, err := w.engine.List(c.filter)
			w.must(err)
			if len(want) != c.n {
				t.Errorf("%s: %d are listed, want %d", name, len(want), c.n)
			}
			for _, size := range []int{1, 7, 10, 20, 79, 80, 81, 1000} {
				pages := w.walk(c.filter, size, nil)
				got := slices.Concat(pages...)
				if !slices.EqualFunc(got, want, func(a, b lifecycle.Session) bool { return a.ID == b.ID && a.Status == b.Status }) {
					t.Errorf("%s, %d a page: %d of %d, or another order", name, size, len(got), len(want))
				}
				if n := max(1, (c.n+size-1)/size); len(pages) != n { // no empty page at the end
					t.Errorf("%s, %d a page: %d pages, want %d", name, size, len(pages), n)
				}
			}
		}
		for _, size := range []int{0, -1} {
			_, _, err := w.engine.ListPage(lifecycle.Filter{}, api.Page{Size: size})
			failed(t, err, lifecycle.CodeInvalidArgument, "list: page_size")
		}
		_, _, err := w.engine.ListPage(lifecycle.Filter{ChatID: "x"}, api.Page{Size: 1})
		failed(t, err, lifecycle.CodeInvalidArgument, "list: chat_id")
		_, _, err = w.engine.ListPage(lifecycle.Filter{Status: "dead"}, api.Page{Size: 1})
		failed(t, err, lifecycle.CodeInvalidArgument, "list: status")
	})
}

// A cursor holds although the session that it names is gone, or never was.
func TestListPageCursor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		roomy(w)
		for _, id := range []string{id1, id2, id3} {
			w.create(id)
			w.pass(time.Second)
		}
		page, next, err := w.engine.ListPage(lifecycle.Filter{}, api.Page{Size: 2})
		w.must(err)
		if len(page) != 2 || next == nil || next.ID != id2 || !next.CreatedAt.Equal(page[1].CreatedAt) {
			t.Fatalf("%+v, %+v", page, next)
		}
		w.must(w.engine.Delete(t.Context(), id2))
		w.pass(2 * time.Hour) // and its record is forgotten
		w.create(id2)
		page, next, err = w.engine.ListPage(lifecycle.Filter{All: true}, api.Page{Size: 2, After: *next})
		if err != nil || next != nil || len(page) == 0 || page[len(page)-1].ID != id2 {
			t.Errorf("%+v, %+v, %v", page, next, err)
		}
		page, next, err = w.engine.ListPage(lifecycle.Filter{}, api.Page{Size: 2, After: api.Cursor{CreatedAt: time.Now().Add(time.Hour), ID: "x"}})
		if err != nil || next != nil || len(page) != 0 {
			t.Errorf("%+v, %+v, %v", page, next, err)
		}
	})
}

// A session without a moment of creation is first, and comes in its place later: never is it
// left out.
func TestListPageWhilePreparing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		roomy(w)
		w.create(id2)
		w.pass(time.Second)
		w.create(id3)
		w.mem.Fail(mem.Prepare, mem.Fault{Times: 1, Delay: time.Second})
		w.createLater(context.Background(), id1)
		var told []string
		for _, page := range w.walk(lifecycle.Filter{}, 1, func() { w.pass(600 * time.Millisecond) }) {
			for _, s := range page {
				told = append(told, s.ID[:1]+" "+string(s.Status))
			}
		}
		if got := fmt.Sprint(told); got != "[1 creating 2 running 3 running 1 running]" {
			t.Error(got)
		}
	})
}

// What a page costs is of the size of the page, beside a list of who is there.
func TestListPageMemory(t *testing.T) {
	cost := func(n int) (bytes float64) {
		bubble(t, func(t *testing.T, w *world) {
			roomy(w)
			w.fill(n)
			for _, s := range w.walk(lifecycle.Filter{}, 10, nil)[0] {
				w.must(w.engine.Delete(t.Context(), s.ID))
			}
			const rounds = 20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range rounds {
				page, _, err := w.engine.ListPage(lifecycle.Filter{}, api.Page{Size: 10})
				w.must(err)
				if cap(page) > 32 {
					t.Fatalf("room for %d was made", cap(page))
				}
			}
			runtime.ReadMemStats(&after)
			bytes = float64(after.TotalAlloc-before.TotalAlloc) / rounds
		})
		return bytes
	}
	few, many := cost(200), cost(2000)
	// 8 bytes for each of 1,800 more, and some more candidates on the way.
	if each := (many - few) / 1800; each > 40 {
		t.Errorf("a page of 10 costs %.0f bytes among 200, %.0f among 2,000: %.0f for each", few, many, each)
	}
}
