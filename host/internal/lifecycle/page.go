package lifecycle

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/lease"
)

// place is where a session stands in a list: by the moment of its creation, then by id.
type place struct {
	at time.Time
	id string
}

func placeOf(rec lease.Record) place { return place{rec.CreatedAt, rec.SessionID} }

func (p place) compare(q place) int {
	return cmp.Or(p.at.Compare(q.at), strings.Compare(p.id, q.id))
}

// ListPage answers from memory with one part of what List would, and the cursor for the
// next part; nil when this was the last. What it holds meanwhile is of the size of the
// page. Who lives while one goes from page to page is seen, and seen once; only a session
// whose image is being prepared, which has no moment of creation yet and comes first, may
// come once more in its place. Errors: CodeInvalidArgument.
func (e *Engine) ListPage(f Filter, page api.Page) ([]Session, *api.Cursor, error) {
	if page.Size <= 0 {
		return nil, nil, invalid("list", "page_size", "it is not positive; give at least 1")
	}
	want, err := selects(f)
	if err != nil {
		return nil, nil, err
	}
	after := place{page.After.CreatedAt, page.After.ID}
	var best []Session // in order, at most one more than the page
	for _, s := range e.all() {
		rec := s.record()
		at := placeOf(rec)
		if after != (place{}) && at.compare(after) <= 0 {
			continue
		}
		full := len(best) > page.Size
		if full && at.compare(placeOfSession(best[page.Size])) > 0 {
			continue
		}
		v := e.view(rec)
		if !want(v) {
			continue
		}
		i, _ := slices.BinarySearchFunc(best, at, func(v Session, at place) int { return placeOfSession(v).compare(at) })
		if full {
			best = best[:page.Size]
		}
		best = slices.Insert(best, i, v)
	}
	if len(best) <= page.Size {
		return best, nil, nil
	}
	best = best[:page.Size]
	last := best[len(best)-1]
	return best, &api.Cursor{CreatedAt: last.CreatedAt, ID: last.ID}, nil
}

func placeOfSession(v Session) place { return place{v.CreatedAt, v.ID} }
