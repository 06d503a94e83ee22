package proto_test

import (
	"crypto/elliptic"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

// rawMode makes this test binary the plugin.
const rawMode = "BERTH_RAW_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(rawMode) != "" {
		if err := rawPlugin(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rawPlugin is a plugin that is made of the README alone: of a provider without sandboxes.
func rawPlugin() error {
	if os.Getenv(cookie) != cookieValue {
		return errors.New("this is a plugin of Berth: a host starts it")
	}
	signal.Ignore(syscall.SIGINT)
	fd, err := strconv.Atoi(os.Getenv(lifelineName))
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(uintptr(fd), "lifeline"))
		os.Exit(0)
	}()
	hosts, _ := pem.Decode([]byte(os.Getenv("PLUGIN_CLIENT_CERT")))
	if hosts == nil {
		return errors.New("there is no certificate of the host")
	}
	pool, err := trust(hosts.Bytes)
	if err != nil {
		return err
	}
	der, key, err := certify(elliptic.P256()) // its own choice
	if err != nil {
		return err
	}
	socket := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "raw")
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(answerRaw), TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}}
	fmt.Printf("1|1|unix|%s|grpc|%s\n", socket, base64.RawStdEncoding.EncodeToString(der))
	fmt.Fprintln(os.Stderr, `{"@level":"warn","@message":"up","@timestamp":"2030-01-02T03:04:05.678901Z","language":"any"}`)
	return server.ServeTLS(l, "", "")
}

// answerRaw answers a call.
func answerRaw(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // no request says more than its method here
	w.Header().Set("Content-Type", "application/grpc")
	status, details := "0", []byte(nil)
	answer := func(m ...[]byte) { _, _ = w.Write(frame(join(m))) }
	method := strings.TrimPrefix(r.URL.Path, "/")
	switch method {
	case "grpc.health.v1.Health/Check":
		answer(whole(1, 1))
	case "berth.provider.v1.Plugin/GetInfo":
		answer(text(1, "raw"), text(2, "7"))
	case "berth.provider.v1.Plugin/GetSchema":
		answer(nested(1, nested(2, text(1, "where"), whole(2, 1), text(3, "Where it is."))))
	case "berth.provider.v1.Plugin/ValidateConfig", "berth.provider.v1.Plugin/Configure", "berth.provider.v1.Plugin/Drain":
		answer()
	case "berth.provider.v1.Provider/Identity":
		answer(text(1, "the one"))
	case "berth.provider.v1.Provider/List":
		answer(nested(2)) // complete, with a total of 0
	case "berth.provider.v1.Provider/Get":
		detail := join([][]byte{whole(1, 1), text(2, "get"), text(5, "there is none")})
		status = "5"
		details = join([][]byte{whole(1, 5), text(2, "there is none"),
			nested(3, text(1, "type.googleapis.com/berth.provider.v1.ErrorDetail"), nested(2, detail))})
	default: // unimplemented: also go-plugin's own services
		status = "12"
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
	if details != nil {
		w.Header().Set(http.TrailerPrefix+"Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(details))
	}
	w.(http.Flusher).Flush()
}

func join(parts [][]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// heard keeps what is logged.
type heard struct {
	mu sync.Mutex
	b  strings.Builder
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

// The host's launcher starts such a plugin, and understands it.
func TestRawPlugin(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run, remove, err := launch.TempRunDir()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}()
	log := &heard{}
	p, err := launch.Start(t.Context(), launch.Options{Name: "raw", Path: self, CacheDir: filepath.Join(run, "plugins"), RunDir: run,
		Env: []string{rawMode + "=1"}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if text := log.String(); !strings.Contains(text, "level=WARN msg=up") || !strings.Contains(text, "language=any") {
			t.Errorf("the host's log:\n%s", text)
		}
	}()
	ctx, plugin := t.Context(), p.Plugin()
	if err := p.Ping(ctx); err != nil {
		t.Error(err)
	}
	if info, err := plugin.Info(ctx); err != nil || info.Name != "raw" || info.Version != "7" {
		t.Errorf("%+v, %v", info, err)
	}
	schemas, err := plugin.Schemas(ctx)
	if err != nil || len(schemas.Provider.Attributes) != 1 || schemas.Provider.Attributes[0].Type != provider.TypeString {
		t.Errorf("%+v, %v", schemas, err)
	}
	if found, err := plugin.Validate(ctx, provider.ValidateRequest{}); err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if c, err := plugin.Configure(ctx, provider.ConfigureRequest{}); err != nil || len(c.Capabilities) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if id, err := plugin.Provider().Identity(ctx); err != nil || id != "the one" {
		t.Errorf("%q, %v", id, err)
	}
	if s, err := plugin.Provider().List(ctx, func(provider.Sandbox) error { return errors.New("a sandbox") }); err != nil || s.Total != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = plugin.Provider().Get(ctx, provider.Ref{ID: "x"})
	var e *provider.Error
	if !errors.Is(err, provider.NotFound) || !errors.As(err, &e) || e.Message != "there is none" {
		t.Errorf("%v", err)
	}
	if _, err := plugin.Provider().Health(ctx); !errors.Is(err, provider.Unsupported) {
		t.Errorf("a call that it does not know: %v", err)
	}
}
