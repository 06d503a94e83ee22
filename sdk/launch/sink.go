package launch

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// What a plugin may say in one second; the rest is counted and told.
const (
	maxLinesPerSecond = 500
	maxBytesPerSecond = 1 << 20
)

// What is kept of it for an error.
const (
	keptLines     = 10
	keptLineBytes = 2 << 10
	shownBytes    = 300 // of each, in an error
)

// sink passes a plugin's output to the host's log, bounded, and keeps the last lines of
// its standard error. Its methods may be called concurrently.
type sink struct {
	logger *slog.Logger

	mu        sync.Mutex
	kept      [][]byte // oldest first
	panicking bool     // a panic's trace is being printed; its first lines are kept
	second    time.Time
	lines     int
	bytes     int
	dropped   int
	tell      *time.Timer // tells of the dropped lines, when there are any
	closed    bool
}

func newSink(logger *slog.Logger) *sink { return &sink{logger: logger} }

// stderr takes a line of the plugin's standard error: a log record as JSON, or text.
func (s *sink) stderr(line []byte, cut bool) {
	if len(line) == 0 {
		return
	}
	s.keep(line)
	if !s.admit(len(line)) {
		return
	}
	rec, ok := parseRecord(line)
	if !ok {
		rec = record{level: s.textLevel(line), message: string(line), attrs: []slog.Attr{slog.String("stream", "stderr")}}
	}
	s.log(rec, cut)
}

// stdout takes a line of the plugin's standard output.
func (s *sink) stdout(line []byte, cut bool) {
	if len(line) == 0 || !s.admit(len(line)) {
		return
	}
	s.log(record{level: slog.LevelInfo, message: string(line), attrs: []slog.Attr{slog.String("stream", "stdout")}}, cut)
}

func (s *sink) log(rec record, cut bool) {
	if cut {
		rec.attrs = append(rec.attrs, slog.Bool("cut", true))
	}
	s.logger.LogAttrs(context.Background(), rec.level, rec.message, rec.attrs...)
}

// admit reports whether one more line may be logged in this second.
func (s *sink) admit(size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if now := time.Now(); now.Sub(s.second) >= time.Second {
		s.second, s.lines, s.bytes = now, 0, 0
	}
	s.lines++
	s.bytes += size
	if s.lines <= maxLinesPerSecond && s.bytes <= maxBytesPerSecond {
		return true
	}
	s.dropped++
	if s.tell == nil {
		s.tell = time.AfterFunc(time.Second, s.tellDropped)
	}
	return false
}

func (s *sink) tellDropped() {
	s.mu.Lock()
	n := s.dropped
	s.dropped, s.tell = 0, nil
	s.mu.Unlock()
	if n > 0 {
		s.logger.Warn("the plugin logs more than the host takes; lines were dropped",
			"dropped", n, "limit_lines_per_second", maxLinesPerSecond, "limit_bytes_per_second", maxBytesPerSecond)
	}
}

// close tells what was not told yet. Lines that still come are thrown away.
func (s *sink) close() {
	s.mu.Lock()
	s.closed = true
	if s.tell != nil {
		s.tell.Stop()
	}
	s.mu.Unlock()
	s.tellDropped()
}

// keep remembers a line for tail. Of a panic it remembers the beginning.
func (s *sink) keep(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.panicking && (bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: "))) {
		s.panicking = true
		s.kept = nil
	}
	if len(s.kept) == keptLines {
		if s.panicking {
			return
		}
		s.kept = append(s.kept[:0], s.kept[1:]...)
	}
	s.kept = append(s.kept, bytes.Clone(line[:min(len(line), keptLineBytes)]))
}

// tail returns what was kept of standard error, on one line.
func (s *sink) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, line := range s.kept {
		text := string(line)
		if rec, ok := parseRecord(line); ok {
			if rec.level < slog.LevelInfo {
				continue
			}
			text = rec.text()
		}
		lines = append(lines, printable(text, shownBytes))
	}
	return strings.Join(lines, " | ")
}

func (s *sink) textLevel(line []byte) slog.Level {
	s.mu.Lock()
	panicking := s.panicking
	s.mu.Unlock()
	if panicking {
		return slog.LevelError
	}
	for prefix, level := range map[string]slog.Level{
		"[TRACE]": levelTrace, "[DEBUG]": slog.LevelDebug, "[INFO]": slog.LevelInfo,
		"[WARN]": slog.LevelWarn, "[ERROR]": slog.LevelError,
	} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return level
		}
	}
	return slog.LevelInfo
}
