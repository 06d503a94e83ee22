package wire

import (
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// maxHeaderList bounds the headers and trailers of a call, in bytes. An error's detail
// travels in a trailer; see maxDetail.
const maxHeaderList = 1 << 20

// DialOptions are the host's options for the connection to a plugin: the message limit,
// and trace contexts sent along. A nil tp records nothing.
func DialOptions(tp trace.TracerProvider) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageSize),
			grpc.MaxCallSendMsgSize(MaxMessageSize),
		),
		grpc.WithMaxHeaderListSize(maxHeaderList),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(traceOptions(tp)...)),
	}
}

// ServerOptions are the plugin's options for its server: the message limit, and trace
// contexts received. A nil tp records nothing.
func ServerOptions(tp trace.TracerProvider) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageSize),
		grpc.MaxSendMsgSize(MaxMessageSize),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.StatsHandler(otelgrpc.NewServerHandler(traceOptions(tp)...)),
	}
}

func traceOptions(tp trace.TracerProvider) []otelgrpc.Option {
	if tp == nil {
		tp = tracenoop.NewTracerProvider()
	}
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(tp),
		otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator(
			propagation.TraceContext{}, propagation.Baggage{})),
		otelgrpc.WithFilter(traced),
	}
}

// traced leaves out go-plugin's own services, the streams that live as long as the
// process, and the polls that a supervisor makes all the time.
func traced(info *stats.RPCTagInfo) bool {
	method, ours := strings.CutPrefix(info.FullMethodName, "/berth.provider.v1.")
	if !ours {
		return false
	}
	switch method {
	case "Provider/Events", "Provider/Logs", "Provider/Health":
		return false
	}
	return true
}
