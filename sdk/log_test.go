package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

func TestLog(t *testing.T) {
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	const ids = `"trace_id":"01000000000000000000000000000000","span_id":"0200000000000000"`
	for name, c := range map[string]struct {
		log  func(context.Context, *slog.Logger)
		want string
	}{
		"plain":  {func(ctx context.Context, l *slog.Logger) { l.Info("m", "k", 1) }, `{"@level":"info","@message":"m","@module":"x","k":1}`},
		"levels": {func(ctx context.Context, l *slog.Logger) { l.Log(ctx, slog.LevelError+2, "m") }, `{"@level":"error","@message":"m","@module":"x",` + ids + `}`},
		"odd":    {func(ctx context.Context, l *slog.Logger) { l.Log(context.Background(), slog.LevelInfo+1, "m") }, `{"@level":"info","@message":"m","@module":"x"}`},
		"span": {func(ctx context.Context, l *slog.Logger) {
			l.With("a", 1).WithGroup("g").DebugContext(ctx, "m", "k", 1)
		}, `{"@level":"debug","@message":"m",` + ids + `,"@module":"x","a":1,"g":{"k":1}}`},
		"impostor": {func(ctx context.Context, l *slog.Logger) { l.Info("m", "msg", 1, "level", 2, "time", 3, "@message", 4) }, `{"@level":"info","@message":"m","@module":"x","_msg":1,"_level":2,"_time":3,"_message":4}`},
		"with":     {func(ctx context.Context, l *slog.Logger) { l.With("msg", "no").Warn("m") }, `{"@level":"warn","@message":"m","@module":"x","_msg":"no"}`},
		"inlined":  {func(ctx context.Context, l *slog.Logger) { l.Info("m", slog.Group("", "level", 1)) }, `{"@level":"info","@message":"m","@module":"x","_level":1}`},
		"in group": {func(ctx context.Context, l *slog.Logger) { l.WithGroup("g").Info("m", "msg", 1) }, `{"@level":"info","@message":"m","@module":"x","g":{"msg":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			c.log(ctx, newLogger(&b, "x"))
			var got, want map[string]any
			if err := json.Unmarshal(b.Bytes(), &got); err != nil {
				t.Fatalf("%s: %v", &b, err)
			}
			if bytes.Count(b.Bytes(), []byte("\n")) != 1 {
				t.Errorf("not one line: %q", &b)
			}
			at, _ := got["@timestamp"].(string)
			if _, err := time.Parse(timestamp, at); err != nil {
				t.Error(err)
			}
			delete(got, "@timestamp")
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(want)
			if !bytes.Equal(g, w) {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}
