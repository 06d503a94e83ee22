package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// scrape is what /metrics shows: a value for each `name{labels}`, in the order of the
// exposition format.
type scrape map[string]float64

// scrape asks the host's own endpoint.
func (h *remote) scrape() scrape {
	h.t.Helper()
	text, err := fetch(h.url("/metrics"))
	if err != nil {
		h.t.Fatal(err)
	}
	return parseScrape(h.t, text)
}

// url is a page of the host's own endpoint.
func (h *remote) url(path string) string {
	h.t.Helper()
	var address string
	await(h.t, patience, "the host serves its pages", func() bool {
		address = h.must(order{Verb: "about"}).Metrics
		return address != ""
	})
	return "http://" + address + path
}

func parseScrape(t testing.TB, text string) scrape {
	t.Helper()
	s := scrape{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("line %q of /metrics: %v", line, err)
		}
		s[line[:at]] = value
	}
	return s
}

// lists is how many complete lists of the place's provider were compared so far.
func (h *remote) lists() float64 {
	h.t.Helper()
	return h.scrape()[h.operations("list_active", "listed")]
}

// awaitLists waits for n more complete lists.
func (h *remote) awaitLists(n float64) {
	h.t.Helper()
	before := h.lists()
	await(h.t, patience, "more lists were made", func() bool { return h.lists() >= before+n })
}
