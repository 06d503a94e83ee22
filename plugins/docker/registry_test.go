package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// registry serves one small image, as far as a pull needs it. The daemon takes a
// registry on 127.0.0.1 without TLS.
type registry struct {
	name     string // "127.0.0.1:port/berth/pulled"
	digest   string // of the manifest
	manifest []byte
	blobs    map[string][]byte
	broken   bool // blobs can't be had
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{blobs: map[string][]byte{}}
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	text := "made by " + uuid.NewString()
	_ = files.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "origin", Mode: 0o644, Size: int64(len(text))})
	_, _ = files.Write([]byte(text))
	_ = files.Close()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(layer.Bytes())
	_ = zip.Close()

	config := r.blob(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"User": "7:8", "Cmd": []string{"/origin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer.Bytes())}},
	})
	config["mediaType"] = "application/vnd.docker.container.image.v1+json"
	r.blobs[digest(packed.Bytes())] = packed.Bytes()
	r.manifest, _ = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config,
		"layers": []any{map[string]any{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
			"size": packed.Len(), "digest": digest(packed.Bytes())}},
	})
	r.digest = digest(r.manifest)

	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.name = strings.TrimPrefix(server.URL, "http://") + "/berth/pulled"
	t.Cleanup(func() {
		for _, ref := range []string{r.name + ":one", r.name + "@" + r.digest} {
			_, _ = world.api.ImageRemove(context.Background(), ref, image.RemoveOptions{Force: true})
		}
	})
	return r
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// blob keeps a JSON blob and describes it.
func (r *registry) blob(v any) map[string]any {
	b, _ := json.Marshal(v)
	r.blobs[digest(b)] = b
	return map[string]any{"size": len(b), "digest": digest(b)}
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, last, _ := strings.Cut(req.URL.Path, "/berth/pulled/")
	kind, ref, _ := strings.Cut(last, "/")
	blob, known := r.blobs[ref]
	switch {
	case req.URL.Path == "/v2/":
	case kind == "manifests" && (ref == "one" || ref == r.digest):
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", r.digest)
		_, _ = w.Write(r.manifest)
	case kind == "manifests":
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`, http.StatusNotFound)
	case kind == "blobs" && known && !r.broken:
		_, _ = w.Write(blob)
	default:
		http.Error(w, `{"errors":[{"code":"DENIED","message":"the shelf is broken"}]}`, http.StatusForbidden)
	}
}

// Issue item 4, images: a missing one is pulled once, its progress is in the log, and
// its repository digest is what it is known and made by.
func TestPull(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: pullMissing})
	reg := newRegistry(t)
	if info, err := r.api.Info(t.Context()); err != nil || info.Name == "docker-desktop" {
		t.Skip("the daemon can't reach this process by 127.0.0.1")
	}
	request := provider.PrepareRequest{Image: reg.name + ":one"}
	for range 2 {
		got, err := r.Prepare(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest != reg.digest || got.User != "7:8" {
			t.Errorf("prepared as %+v, want digest %s and user 7:8", got, reg.digest)
		}
	}
	for _, line := range []string{"pulling an image", "pulled an image"} {
		if n := strings.Count(r.logs.String(), line); n != 1 {
			t.Errorf("the log says %q %d times, want once:\n%s", line, n, r.logs)
		}
	}
	// A provider that has not prepared it, as after a restart, makes the same of it.
	for _, p := range []*rig{r, newRig(t, Config{})} {
		if pin, err := p.pin(t.Context(), request.Image, reg.digest); err != nil || pin != reg.name+"@"+reg.digest {
			t.Errorf("the digest is pinned as %q, %v", pin, err)
		}
	}
}

// An image that the registry does not have is not found; one that breaks off in the
// middle is an error, although the stream began well.
func TestPullFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: pullMissing})
	reg := newRegistry(t)
	_, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: reg.name + ":two"})
	wantFailure(t, err, provider.NotFound, codeStart, reg.name+":two", "could not be pulled", "manifest unknown")

	reg.broken = true
	_, err = r.Prepare(t.Context(), provider.PrepareRequest{Image: reg.name + ":one"})
	if err == nil || errors.Is(err, provider.Canceled) || !strings.Contains(err.Error(), "could not be pulled") {
		t.Errorf("a pull that broke off: %v", err)
	}
}
