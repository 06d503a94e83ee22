package host

import (
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/berth-dev/berth/sdk/provider"
)

// Options are what a host is given by the program around it. The zero value works.
type Options struct {
	// Logger hears what the host and its plugins say. Nil: nobody does.
	Logger *slog.Logger

	// Registerer takes the metrics. Two hosts on one need a prefix or a label each, see
	// prometheus.WrapRegistererWith. Nil: a registry of the host's own, which
	// MetricsHandler serves.
	Registerer prometheus.Registerer

	// TracerProvider records spans, the context of which goes to the plugins. Nil: none.
	TracerProvider trace.TracerProvider

	// Providers are linked into this program, by the label of their provider block,
	// whose command is then not used. They are configured and supervised like a plugin
	// process, but share this one's fate.
	Providers map[string]provider.Plugin

	// Environ is what plugins may get a part of: PATH, HOME, DOCKER_* and OTEL_*. Nil:
	// this process's.
	Environ []string
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.TracerProvider == nil {
		o.TracerProvider = noop.NewTracerProvider()
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	return o
}
