package control

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// Options are what a Server is given. The zero value works.
type Options struct {
	Logger *slog.Logger // nil: nobody hears
}

// Server serves the API of one host.
type Server struct {
	host    Host
	log     *slog.Logger
	routes  map[string]route // by path
	refusal *connect.ErrorWriter

	writeTime time.Duration // in which a caller has to take a piece of an answer

	life context.Context // until Close
	end  context.CancelCauseFunc
}

// errStopping is what calls get once the host stops.
var errStopping = &api.Error{Code: api.CodeUnavailable, Message: "the host is stopping"}

// New makes a server. It starts nothing; whoever made it calls Close.
func New(h Host, opts Options) *Server {
	s := &Server{host: h, log: opts.Logger, writeTime: writeTime}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.life, s.end = context.WithCancelCause(context.Background())
	options := connect.WithHandlerOptions(
		connect.WithRecover(s.recovered),
		connect.WithInterceptors(interceptor{s}),
		connect.WithCodec(codec{"json"}), connect.WithCodec(codec{"json; charset=utf-8"}), connect.WithCodec(codec{"proto"}),
		connect.WithCompression("gzip", nil, nil), // instead of Connect's own, which has no limit of ours
		connect.WithCompression("gzip", newGunzip, newGzip), connect.WithCompressMinBytes(compressFrom),
	)
	s.refusal = connect.NewErrorWriter(options)

	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewSessionServiceHandler(sessions{s}, options))
	mux.Handle(controlv1connect.NewProviderServiceHandler(providers{s}, options))
	bounded := connect.WithReadMaxBytes(maxBody)
	reflector := grpcreflect.NewStaticReflector(controlv1connect.SessionServiceName, controlv1connect.ProviderServiceName, grpchealth.HealthV1ServiceName)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, bounded))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, bounded))
	mux.Handle(grpchealth.NewHandler(health{s}, bounded))
	s.routes = routes(mux)
	return s
}

// Handler is the API, for the host's socket or for a platform's own server, which has to
// speak HTTP/2 (without TLS: h2c) for gRPC.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Close ends the streams and refuses further calls, with unavailable. Calls that are
// under way go on. It may be called many times.
func (s *Server) Close() { s.end(errStopping) }

// stopping tells whether Close was called.
func (s *Server) stopping() bool { return s.life.Err() != nil }

// streaming is the context of a stream: it ends with the caller's, and with Close.
func (s *Server) streaming(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.life, func() { cancel(errStopping) })
	return ctx, func() { stop(); cancel(nil) }
}
