package supervisor_test

import (
	"context"
	"log/slog"
	"sync"
)

// journal keeps what is logged, each record as "LEVEL message key=value …".
type journal struct {
	mu   sync.Mutex
	kept []entry
}

type entry struct {
	level slog.Level
	text  string
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	text := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = append(j.kept, entry{r.Level, text})
	return nil
}

// atLeast are the records of a level and above.
func (j *journal) atLeast(level slog.Level) (texts []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.kept {
		if e.level >= level {
			texts = append(texts, e.text)
		}
	}
	return texts
}
