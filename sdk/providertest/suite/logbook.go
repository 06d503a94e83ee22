package suite

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// maxKept bounds what a logbook keeps of each theme.
const maxKept = 20

// logbook is the host's log of what plugins say. It keeps what breaks a promise.
type logbook struct {
	mu     sync.Mutex
	stdout []string // lines on standard output
	panics []string
}

func (l *logbook) logger() *slog.Logger { return slog.New(&logHandler{book: l}) }

// printed are the lines that came on standard output.
func (l *logbook) printed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.stdout...)
}

// panicked are the panics that were told.
func (l *logbook) panicked() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.panics...)
}

type logHandler struct{ book *logbook }

func (h *logHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *logHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h *logHandler) WithGroup(string) slog.Handler { return h }

func (h *logHandler) Handle(_ context.Context, rec slog.Record) error {
	attrs := map[string]string{}
	rec.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	h.book.mu.Lock()
	defer h.book.mu.Unlock()
	keep := func(list *[]string, text string) {
		if len(*list) < maxKept {
			*list = append(*list, text)
		}
	}
	switch {
	case attrs["stream"] == "stdout":
		keep(&h.book.stdout, rec.Message)
	case strings.Contains(rec.Message, "printed on stdout before its handshake"):
		keep(&h.book.stdout, attrs["printed"])
	case rec.Message == "the provider panicked":
		keep(&h.book.panics, attrs["op"]+": "+attrs["panic"])
	}
	return nil
}
