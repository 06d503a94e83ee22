package docker

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	shelf "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// testRegistry is a registry in this process. The daemon takes one on 127.0.0.1 without
// TLS. Its fields are guarded by mu.
type testRegistry struct {
	host string // "127.0.0.1:port"
	down func() // ends it

	mu             sync.Mutex
	user, password string                                        // wanted of everybody, when user is set
	hook           func(http.ResponseWriter, *http.Request) bool // answers instead, and says so
	seen           []string                                      // "GET /v2/…"
}

func newRegistry(t *testing.T) *testRegistry {
	t.Helper()
	needDaemon(t)
	if info, err := world.api.Info(t.Context()); err != nil || info.Name == "docker-desktop" {
		t.Skip("the daemon can't reach this process by 127.0.0.1")
	}
	r := &testRegistry{}
	images := shelf.New(shelf.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.arrived(w, req) {
			images.ServeHTTP(w, req)
		}
	}))
	r.host = strings.TrimPrefix(server.URL, "http://")
	r.down = server.Close
	t.Cleanup(server.Close)
	return r
}

// arrived notes a request, and reports whether it was answered already.
func (r *testRegistry) arrived(w http.ResponseWriter, req *http.Request) bool {
	r.mu.Lock()
	r.seen = append(r.seen, req.Method+" "+req.URL.Path)
	user, password, hook := r.user, r.password, r.hook
	r.mu.Unlock()
	if gotUser, gotPassword, _ := req.BasicAuth(); user != "" && (gotUser != user || gotPassword != password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return true
	}
	return hook != nil && hook(w, req)
}

// use sets who is let in, and a hook; each may be empty.
func (r *testRegistry) use(user, password string, hook func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.password, r.hook = user, password, hook
}

// requests returns what was asked since the last call.
func (r *testRegistry) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.seen
	r.seen = nil
	return out
}

// push puts a new image under a name without its host, "berth/x:one". It returns its
// digest. What the daemon gets of it goes with the test.
func (r *testRegistry) push(t *testing.T, repository string, layers int) string {
	t.Helper()
	var adds []mutate.Addendum
	for range layers {
		layer, err := random.Layer(4096, types.DockerLayer)
		if err != nil {
			t.Fatal(err)
		}
		adds = append(adds, mutate.Addendum{Layer: layer})
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH,
		RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{User: "7:8", Cmd: []string{"/none"}}})
	if err == nil {
		img, err = mutate.Append(img, adds...)
	}
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(r.host+"/"+repository, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	auth := &authn.Basic{Username: r.user, Password: r.password}
	hook := r.hook
	r.hook = nil
	r.mu.Unlock()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if err := remote.Write(ref, img, remote.WithAuth(auth), remote.WithTransport(transport), remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	r.use(auth.Username, auth.Password, hook)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, ref := range []string{r.host + "/" + repository, ref.Context().Name() + "@" + digest.String()} {
			removeImage(t, ref)
		}
	})
	r.requests()
	return digest.String()
}

// lastLayer returns the digest of an image's last layer.
func (r *testRegistry) lastLayer(t *testing.T, repository string) string {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ref, err := name.ParseReference(r.host+"/"+repository, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithAuth(&authn.Basic{Username: r.user, Password: r.password}),
		remote.WithTransport(transport), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Layers[len(manifest.Layers)-1].Digest.String()
}

// asksForManifest reports whether a request is for a manifest: what begins a pull.
func asksForManifest(req *http.Request) bool { return strings.Contains(req.URL.Path, "/manifests/") }
