package control

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"go.opentelemetry.io/otel/propagation"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// route is one method of a service.
type route struct {
	http.Handler
	own    bool // the host's, not health or reflection
	stream bool
}

// routes finds the handler of every method by its path.
func routes(mux *http.ServeMux) map[string]route {
	all := map[string]route{
		"/" + grpchealth.HealthV1ServiceName + "/Check":                       {mux, false, false},
		"/" + grpchealth.HealthV1ServiceName + "/Watch":                       {mux, false, true},
		"/" + grpcreflect.ReflectV1ServiceName + "/ServerReflectionInfo":      {mux, false, true},
		"/" + grpcreflect.ReflectV1AlphaServiceName + "/ServerReflectionInfo": {mux, false, true},
	}
	services := controlv1.File_control_v1_control_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			m := methods.Get(j)
			all[fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())] = route{mux, true, m.IsStreamingServer()}
		}
	}
	return all
}

// serve answers a request, or tells in words what is wrong with its path, its method or
// its content type.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	to, known := s.routes[r.URL.Path]
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case !known && strings.HasPrefix(kind, "application/grpc"):
		s.refuse(w, r, &api.Error{Code: api.CodeUnsupported, Message: noSuchPath(r.URL.Path)})
	case !known:
		http.Error(w, noSuchPath(r.URL.Path), http.StatusNotFound)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, fmt.Sprintf("%s is called with POST, not with %s", r.URL.Path, clip(r.Method)), http.StatusMethodNotAllowed)
	case err != nil || !to.takes(kind, params):
		w.Header().Set("Accept-Post", strings.Join(to.kinds(), ", "))
		http.Error(w, fmt.Sprintf("%s does not take Content-Type %q; it takes %s", r.URL.Path, clip(r.Header.Get("Content-Type")), strings.Join(to.kinds(), ", ")), http.StatusUnsupportedMediaType)
	case !to.own:
		to.ServeHTTP(w, r)
	case to.stream || strings.HasPrefix(kind, "application/grpc"):
		s.call(w, r, to)
	default:
		errors := &errorBody{ResponseWriter: w}
		s.call(errors, r, to)
		errors.send()
	}
}

// call calls one of the host's own methods.
func (s *Server) call(w http.ResponseWriter, r *http.Request, to route) {
	op := verb(r.URL.Path)
	if s.stopping() {
		s.refuse(w, r, stopped(op))
		return
	}
	// The caller's trace goes on in the host.
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	r = r.WithContext(ctx)
	r.Body = bounded(w, r, op)
	to.ServeHTTP(w, r)
}

// refuse answers an error in the caller's protocol.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if err := s.refusal.Write(w, r, convert.ErrorToConnect(err)); err != nil {
		s.log.Debug("an answer could not be sent", "err", err)
	}
}

func noSuchPath(path string) string {
	return fmt.Sprintf("%q is no method of this host. Its services are berth.control.v1.SessionService and berth.control.v1.ProviderService: "+
		"POST to /berth.control.v1.SessionService/GetSession and the like; gRPC reflection lists them all", clip(path))
}

// kinds are the content types that a method takes.
func (r route) kinds() []string {
	grpc := []string{"application/grpc", "application/grpc+proto", "application/grpc+json",
		"application/grpc-web", "application/grpc-web+proto", "application/grpc-web+json"}
	if r.stream {
		return append([]string{"application/connect+json", "application/connect+proto"}, grpc...)
	}
	return append([]string{"application/json", "application/proto"}, grpc...)
}

func (r route) takes(kind string, params map[string]string) bool {
	charset, given := params["charset"]
	plain := len(params) == 0 || len(params) == 1 && given && strings.EqualFold(charset, "utf-8") && strings.HasSuffix(kind, "json")
	return plain && slices.Contains(r.kinds(), kind)
}
