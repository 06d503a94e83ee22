package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/berth-dev/berth/host/internal/lifecycle"
)

// web serves /metrics, /healthz and /readyz.
type web struct {
	listener net.Listener // nil: nothing is served
	server   *http.Server
}

func (h *Host) listen() (*web, error) {
	cfg := h.config()
	if cfg.Metrics == nil {
		return &web{}, nil
	}
	l, err := net.Listen("tcp", cfg.Metrics.Address)
	if err != nil {
		return nil, fmt.Errorf("host: metrics.address: %w; end who uses it, choose another, or leave the metrics block out", err)
	}
	h.mu.Lock()
	h.address = l.Addr().String()
	h.mu.Unlock()
	return &web{listener: l, server: &http.Server{
		Handler: h.MetricsHandler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}, nil
}

// close lets go of an address that is not served.
func (w *web) close() error {
	if w.listener == nil {
		return nil
	}
	return w.listener.Close()
}

// MetricsAddress is where /metrics, /healthz and /readyz are served: metrics.address
// with the port that was bound. It is "" before Run, and without a metrics block.
func (h *Host) MetricsAddress() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.address
}

// serve answers until ctx is done, and ends the host when it can't.
func (w *web) serve(ctx context.Context, fail context.CancelCauseFunc) {
	if w.listener == nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if w.server.Shutdown(bounded) != nil {
			w.server.Close()
		}
	}()
	if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
		fail(fmt.Errorf("host: metrics.address: %w", err))
	}
	<-done
}

// MetricsHandler serves /metrics, /healthz and /readyz, for a platform's own server.
// /metrics is there when Options.Registerer was nil or can also gather.
func (h *Host) MetricsHandler() http.Handler {
	mux := http.NewServeMux()
	if h.gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(h.gatherer, promhttp.HandlerOpts{}))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", h.readyz)
	return mux
}

// readiness is what /readyz answers.
type readiness struct {
	Ready     bool                `json:"ready"`
	Providers []providerReadiness `json:"providers"`
}

type providerReadiness struct {
	Name       string    `json:"name"`
	State      string    `json:"state"`
	Since      time.Time `json:"since"`
	Reason     string    `json:"reason"`
	Generation int       `json:"generation"`
}

func (h *Host) readyz(w http.ResponseWriter, _ *http.Request) {
	answer := readiness{Ready: true, Providers: []providerReadiness{}}
	for _, s := range h.providers() {
		st := s.supervisor.Status()
		p := providerReadiness{Name: s.name, State: string(st.State), Since: st.Since.UTC(), Generation: st.Generation}
		if st.State != lifecycle.Ready {
			answer.Ready = false
			if st.Err != nil {
				p.Reason = st.Err.Error()
			}
		}
		answer.Providers = append(answer.Providers, p)
	}
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(answer)
}
