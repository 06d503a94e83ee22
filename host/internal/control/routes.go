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
	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// route is one method of a service.
type route struct {
	http.Handler
	own    bool // the host's, not health or reflection
	stream bool
	open   bool // the request is a stream too
}

// routes finds the handler of every method by its path.
func routes(mux *http.ServeMux) map[string]route {
	all := map[string]route{
		"/" + grpchealth.HealthV1ServiceName + "/Check":                       {mux, false, false, false},
		"/" + grpchealth.HealthV1ServiceName + "/Watch":                       {mux, false, true, false},
		"/" + grpcreflect.ReflectV1ServiceName + "/ServerReflectionInfo":      {mux, false, true, true},
		"/" + grpcreflect.ReflectV1AlphaServiceName + "/ServerReflectionInfo": {mux, false, true, true},
	}
	services := controlv1.File_control_v1_control_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			m := methods.Get(j)
			all[fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())] = route{mux, true, m.IsStreamingServer(), m.IsStreamingClient()}
		}
	}
	return all
}

// serve answers a request. Its body and its answer have their time.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	to, known := s.routes[r.URL.Path]
	out := newWriter(w, s.writeTime, to.stream)
	sent := &delivery{}
	if r.URL.Path == controlv1connect.SessionServiceCreateSessionProcedure {
		r = withDelivery(r, sent)
	}
	s.answer(out, r, to, known)
	out.finish()
	sent.check(out)
}

// answer calls the method, or tells in words what is wrong with the path, the method or
// the content type.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, to route, known bool) {
	if to.open {
		wait := func() { untilRead(w, r, idleTime) }
		wait()
		r = withBody(r, open{r.Body, wait})
	} else {
		untilRead(w, r, bodyTime)
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case !known && strings.HasPrefix(kind, "application/grpc"):
		s.refuse(w, r, &api.Error{Code: api.CodeUnsupported, Message: noSuchPath(r.URL.Path)})
	case !known:
		refuseInWords(w, r, noSuchPath(r.URL.Path), http.StatusNotFound)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		refuseInWords(w, r, fmt.Sprintf("%s is called with POST, not with %s", r.URL.Path, clip(r.Method)), http.StatusMethodNotAllowed)
	case err != nil || !to.takes(kind, params):
		w.Header().Set("Accept-Post", strings.Join(to.kinds(), ", "))
		refuseInWords(w, r, fmt.Sprintf("%s does not take Content-Type %q; it takes %s", r.URL.Path, clip(r.Header.Get("Content-Type")), strings.Join(to.kinds(), ", ")), http.StatusUnsupportedMediaType)
	case to.open:
		to.ServeHTTP(w, r)
	case !to.own:
		to.ServeHTTP(w, withBody(r, bounded(r, verb(r.URL.Path))))
	case to.stream || strings.HasPrefix(kind, "application/grpc"):
		s.call(w, r, to, kind)
	default:
		errors := &errorBody{ResponseWriter: w}
		s.call(errors, r, to, kind)
		errors.send()
	}
}

// call calls one of the host's own methods.
func (s *Server) call(w http.ResponseWriter, r *http.Request, to route, kind string) {
	op := verb(r.URL.Path)
	if s.stopping() {
		s.refuse(w, r, stopped(op))
		return
	}
	if err := checkHeaders(op, kind, r.Header); err != nil {
		s.refuse(w, r, err)
		return
	}
	// The caller's trace goes on in the host.
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	to.ServeHTTP(w, withBody(r, bounded(r, op)).WithContext(ctx))
}

// refuse answers an error in the caller's protocol.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	lastAnswer(w, r)
	if err := s.refusal.Write(w, r, convert.ErrorToConnect(err)); err != nil {
		s.log.Debug("an answer could not be sent", "err", err)
	}
}

// refuseInWords answers an error to who may speak no protocol of ours.
func refuseInWords(w http.ResponseWriter, r *http.Request, words string, status int) {
	lastAnswer(w, r)
	http.Error(w, words, status)
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
