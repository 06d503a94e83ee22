package docker

import (
	"fmt"
	"strings"
	"sync"
)

// layers counts how far a pull is, from the messages of its stream.
type layers struct {
	mu   sync.Mutex
	each map[string]layer // by the layer's id
}

// layer is one layer of an image that is pulled.
type layer struct {
	present     bool
	have, total int64 // bytes; total is 0 until it is known
}

// saw takes in one message. Messages that are not about a layer change nothing.
func (l *layers) saw(m pullMessage) {
	if m.ID == "" || strings.HasPrefix(m.Status, "Pulling from ") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.each == nil {
		l.each = make(map[string]layer)
	}
	is := l.each[m.ID]
	switch m.Status {
	case "Downloading":
		if m.Progress.Total > 0 {
			is.have, is.total = m.Progress.Current, m.Progress.Total
		}
	case "Verifying Checksum", "Download complete", "Extracting":
		is.have = is.total
	case "Pull complete", "Already exists":
		is.have, is.present = is.total, true
	}
	l.each[m.ID] = is
}

// String is for people: "pulling: 3 of 7 layers, 12.1 MiB of 80.0 MiB".
func (l *layers) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.each) == 0 {
		return "pulling"
	}
	present := 0
	var have, total int64
	for _, is := range l.each {
		if is.present {
			present++
		}
		have += is.have
		total += is.total
	}
	text := fmt.Sprintf("pulling: %d of %d layers", present, len(l.each))
	if total > 0 {
		text += fmt.Sprintf(", %.1f MiB of %.1f MiB", mebi(have), mebi(total))
	}
	return text
}

func mebi(bytes int64) float64 { return float64(bytes) / (1 << 20) }
