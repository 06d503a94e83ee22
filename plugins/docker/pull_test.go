package docker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/berth-dev/berth/sdk/provider"
)

// begins is what the log has of each pull once.
const begins = `msg="pulling an image" image=%s progress=pulling` + "\n"

// wantPulls fails unless the log tells of that many pulls of an image.
func (r *rig) wantPulls(image string, n int) {
	r.t.Helper()
	if got := strings.Count(r.logs.String(), strings.ReplaceAll(begins, "%s", image)); got != n {
		r.t.Errorf("%d pulls of %s, want %d:\n%s", got, image, n, r.logs)
	}
}

// Issue item 4, images: a missing one is pulled once, its progress is in the log, and
// its repository digest is what it is known and made by.
func TestPull(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: pullMissing})
	reg := newRegistry(t)
	digest := reg.push(t, "berth/pulled:one", 1)
	repository := reg.host + "/berth/pulled"
	request := provider.PrepareRequest{Image: repository + ":one"}
	for range 2 {
		got, err := r.Prepare(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest != digest || got.User != "7:8" {
			t.Errorf("prepared as %+v, want digest %s and user 7:8", got, digest)
		}
	}
	r.wantPulls(request.Image, 1)
	if n := strings.Count(r.logs.String(), `progress="pulled, `+digest+" in "); n != 1 {
		t.Errorf("the log tells %d times that it was pulled, want once:\n%s", n, r.logs)
	}
	// A provider that has not prepared it, as after a restart, makes the same of it.
	for _, p := range []*rig{r, newRig(t, Config{})} {
		if pin, err := p.pin(t.Context(), request.Image, digest); err != nil || pin != imageID(t, repository+"@"+digest) {
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
	reg.push(t, "berth/pulled:one", 1)
	_, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: reg.host + "/berth/pulled:two"})
	wantFailure(t, err, provider.NotFound, codeStart, "/berth/pulled:two", "could not be pulled", "not found")
	if !strings.Contains(r.logs.String(), `progress="failed: image `) {
		t.Errorf("the log does not tell that the pull failed:\n%s", r.logs)
	}

	for _, test := range []struct {
		status int
		body   string
		class  provider.Class
		words  string
	}{
		{http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"the shelf is broken"}]}`, provider.NotFound, "docker login " + reg.host},
		{http.StatusTooManyRequests, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slowly"}]}`, provider.Exhausted, "no more pulls for now"},
		{http.StatusForbidden, "", provider.NotFound, "docker login " + reg.host},
		{http.StatusUnauthorized, "", provider.InvalidArgument, "docker login " + reg.host},
		{http.StatusTooManyRequests, "", provider.Exhausted, "no more pulls for now"},
		{http.StatusInternalServerError, "", provider.Unavailable, "can't reach its registry"},
		{http.StatusBadGateway, "", provider.Unavailable, "can't reach its registry"},
		{http.StatusServiceUnavailable, `{"errors":[{"code":"UNAVAILABLE","message":"the shelf is shut"}]}`, provider.Unavailable, "can't reach its registry"},
		{http.StatusGatewayTimeout, "<html>", provider.Unavailable, "can't reach its registry"},
	} {
		reg.use("", "", func(w http.ResponseWriter, req *http.Request) bool {
			if !asksForManifest(req) {
				return false
			}
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
			return true
		})
		_, err = r.Prepare(t.Context(), provider.PrepareRequest{Image: reg.host + "/berth/pulled:one"})
		wantFailure(t, err, test.class, codeStart, "could not be pulled", test.words)
	}

	reg.use("", "", func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/blobs/") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"the shelf is broken"}]}`)
		return true
	})
	_, err = r.Prepare(t.Context(), provider.PrepareRequest{Image: reg.host + "/berth/pulled:one"})
	if err == nil || errors.Is(err, provider.Canceled) || !strings.Contains(err.Error(), "could not be pulled") {
		t.Errorf("a pull that broke off: %v", err)
	}
}

// An image that is not there for the daemon's platform is not found.
func TestPullOfAnotherPlatform(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: pullMissing})
	reg := newRegistry(t)
	img, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}})
	image := reg.host + "/berth/elsewhere:one"
	ref, err := name.ParseReference(image, name.Insecure)
	if err == nil {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		err = remote.WriteIndex(ref, index, remote.WithTransport(transport), remote.WithContext(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Prepare(t.Context(), provider.PrepareRequest{Image: image})
	wantFailure(t, err, provider.NotFound, codeStart, "could not be pulled", "no matching manifest for linux/")
}

// pull = "always" takes what a tag means now, and fails rather than take what it meant.
// "missing" and "never" don't ask the registry for an image that is there.
func TestPullAlways(t *testing.T) {
	t.Parallel()
	always, ifMissing, never := newRig(t, Config{Pull: pullAlways}), newRig(t, Config{Pull: pullMissing}), newRig(t, Config{Pull: pullNever})
	reg := newRegistry(t)
	image := reg.host + "/berth/moving:one"
	request := provider.PrepareRequest{Image: image}
	prepared := func(r *rig, want string) {
		t.Helper()
		if got, err := r.Prepare(t.Context(), request); err != nil || got.Digest != want {
			t.Errorf("pull = %q: %+v, %v; want %s", r.config.Pull, got, err, want)
		}
	}
	first := reg.push(t, "berth/moving:one", 1)
	prepared(always, first)
	second := reg.push(t, "berth/moving:one", 1)
	prepared(never, first)
	prepared(ifMissing, first)
	if seen := reg.requests(); len(seen) != 0 {
		t.Errorf("the registry was asked: %q", seen)
	}
	prepared(always, second)
	reg.requests()
	prepared(always, second)
	if seen := reg.requests(); len(seen) == 0 {
		t.Error("the registry was not asked about an image that is there")
	}
	always.wantPulls(image, 3)
	ifMissing.wantPulls(image, 0)

	reg.down()
	_, err := always.Prepare(t.Context(), request)
	wantFailure(t, err, provider.Unavailable, codeStart, "can't reach its registry", `pull = "missing"`, "connection refused")
	prepared(ifMissing, second)
	prepared(never, second)
}

// An image's id can't be pulled: a present one is taken, whatever pull says.
func TestPullOfAnID(t *testing.T) {
	t.Parallel()
	needDaemon(t)
	id := imageID(t, world.image)
	for _, pull := range []string{pullNever, pullMissing, pullAlways} {
		r := newRig(t, Config{Pull: pull})
		if got, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: id}); err != nil || got.Digest != id {
			t.Errorf("pull = %q: %+v, %v", pull, got, err)
		}
		_, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: "sha256:" + strings.Repeat("0", 64)})
		wantFailure(t, err, provider.NotFound, codeStart, "an id can't be pulled")
	}
}

// Eight callers at once make one pull, and it survives the one that began it.
func TestPullIsShared(t *testing.T) {
	t.Parallel()
	for _, pull := range []string{pullMissing, pullAlways} {
		t.Run(pull, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Config{Pull: pull})
			reg := newRegistry(t)
			digest := reg.push(t, "berth/shared:one", 1)
			image := reg.host + "/berth/shared:one"
			gate := make(chan struct{})
			begun := make(chan struct{})
			var once sync.Once
			reg.use("", "", func(_ http.ResponseWriter, req *http.Request) bool {
				if asksForManifest(req) {
					once.Do(func() { close(begun) })
					<-gate
				}
				return false
			})
			open := sync.OnceFunc(func() { close(gate) })
			defer open()

			first, leave := context.WithCancel(t.Context())
			defer leave()
			left := make(chan error, 1)
			go func() {
				_, err := r.Prepare(first, provider.PrepareRequest{Image: image})
				left <- err
			}()
			select {
			case <-begun:
			case err := <-left:
				t.Fatalf("it never began: %v", err)
			}
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() {
					if got, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: image}); err != nil || got.Digest != digest {
						t.Errorf("%+v, %v", got, err)
					}
				})
			}
			waiters := func() int {
				r.pulls.mu.Lock()
				defer r.pulls.mu.Unlock()
				if p := r.pulls.going[image]; p != nil {
					return p.waiters
				}
				return 0
			}
			eventually(t, "nine wait for the pull", func() bool { return waiters() == 9 })
			leave()
			wantFailure(t, <-left, provider.Canceled, codeStart, "was not over in time")
			open()
			callers.Wait()
			r.wantPulls(image, 1)
		})
	}
}
