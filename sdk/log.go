package sdk

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// timestamp is the one layout of time that go-plugin's hosts read.
const timestamp = "2006-01-02T15:04:05.000000Z07:00"

// newLogger writes a line of JSON for each record, in the form that go-plugin's hosts
// read: @timestamp, @level, @message, @module, and the attributes. Inside a span the
// line has its trace_id and span_id.
func newLogger(w io.Writer, module string) *slog.Logger {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: builtin})
	return slog.New(&hostHandler{root: h, now: h}).With("@module", module)
}

// builtin renames what every record has. No attribute of the caller bears these names:
// see renamed.
func builtin(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", a.Value.Time().Format(timestamp))
	case slog.LevelKey:
		level, _ := a.Value.Any().(slog.Level)
		return slog.String("@level", levelName(level))
	case slog.MessageKey:
		a.Key = "@message"
	}
	return a
}

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "trace"
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}

// hostHandler keeps a record's attributes apart from what the host reads, and adds the
// span of the context outside of all groups.
type hostHandler struct {
	root  slog.Handler                      // before with
	with  []func(slog.Handler) slog.Handler // WithAttrs and WithGroup, in order
	now   slog.Handler                      // root after with
	group bool                              // with has a group
}

func (h *hostHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.now.Enabled(ctx, l) }

func (h *hostHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.group {
		own := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			own.AddAttrs(renamed(a))
			return true
		})
		r = own
	}
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return h.now.Handle(ctx, r)
	}
	to := h.root.WithAttrs([]slog.Attr{
		slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String())})
	for _, with := range h.with {
		to = with(to)
	}
	return to.Handle(ctx, r)
}

func (h *hostHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	if !h.group {
		own := make([]slog.Attr, len(attrs))
		for i, a := range attrs {
			own[i] = renamed(a)
		}
		attrs = own
	}
	return h.after(h.group, func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h *hostHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.after(true, func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *hostHandler) after(group bool, with func(slog.Handler) slog.Handler) slog.Handler {
	all := append(h.with[:len(h.with):len(h.with)], with)
	return &hostHandler{root: h.root, with: all, now: with(h.now), group: group}
}

// renamed puts "_" before a name that would be taken for the record's own, also in groups
// without a name, which are part of what is around them.
func renamed(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Key == "" && a.Value.Kind() == slog.KindGroup {
		members := make([]slog.Attr, 0, len(a.Value.Group()))
		for _, m := range a.Value.Group() {
			members = append(members, renamed(m))
		}
		return slog.Attr{Value: slog.GroupValue(members...)}
	}
	switch a.Key {
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, "@timestamp", "@level", "@message":
		a.Key = "_" + strings.TrimPrefix(a.Key, "@")
	}
	return a
}
