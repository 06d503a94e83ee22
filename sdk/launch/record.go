package launch

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

const (
	levelTrace = slog.LevelDebug - 4
	maxAttrs   = 64 // of one record
)

// record is one log record of a plugin.
type record struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

// parseRecord reads a line of the JSON that hclog and the SDK write: @level, @message,
// @timestamp, @module, and attributes. It trusts no type in it.
func parseRecord(line []byte) (record, bool) {
	if len(line) == 0 || line[0] != '{' {
		return record{}, false
	}
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return record{}, false
	}
	message, ok := fields["@message"].(string)
	if !ok {
		return record{}, false
	}
	name, _ := fields["@level"].(string)
	rec := record{level: levelOf(name), message: message}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if len(rec.attrs) == maxAttrs {
			break
		}
		switch key {
		case "@message", "@level", "@timestamp":
			continue
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey:
			rec.attrs = append(rec.attrs, slog.Any("plugin."+key, fields[key]))
		default:
			rec.attrs = append(rec.attrs, slog.Any(strings.TrimPrefix(key, "@"), fields[key]))
		}
	}
	return rec, true
}

func levelOf(name string) slog.Level {
	switch strings.ToLower(name) {
	case "trace":
		return levelTrace
	case "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// text is the record on one line, for an error message.
func (r record) text() string {
	var b strings.Builder
	b.WriteString(r.message)
	for _, a := range r.attrs {
		if a.Key != "module" {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
	}
	return b.String()
}
