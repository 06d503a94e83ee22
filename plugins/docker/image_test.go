package docker

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// Issue item 4, images: a present one is told with its digest, or its id where it has
// none, and its user in numbers.
func TestPrepare(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: "never"})
	for _, test := range []struct{ name, image, config, user string }{
		{"root", world.image, `{}`, "0:0"},
		{"the image's user", world.user, `{}`, "1000:1000"},
		{"the template's user", world.image, `{"user":"7:8"}`, "7:8"},
		{"uid alone", world.image, `{"user":"7"}`, ""},
		{"by name", world.image, `{"user":"www-data"}`, ""},
	} {
		got, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: test.image, Config: []byte(test.config)})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got.Digest != imageID(t, test.image) {
			t.Errorf("%s: digest %s, want the image's id", test.name, got.Digest)
		}
		if test.name == "uid alone" {
			if !strings.HasPrefix(got.User, "7:") {
				t.Errorf("%s: user %q", test.name, got.User)
			}
		} else if got.User != test.user {
			t.Errorf("%s: user %q, want %q", test.name, got.User, test.user)
		}
	}
}

// A missing image with pull = "never": the daemon's words and the remedy.
func TestPrepareMissingNever(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: "never"})
	name := "berth-missing-" + uuid.NewString()
	_, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: name})
	wantFailure(t, err, provider.NotFound, codeStart, `pull is "never"`, `pull = "missing"`, "No such image: "+name)
	r.wantFailedLog("prepare failed", codeStart, "image", name)
}

// A missing image with pull = "missing": the pull is tried, its failure is told, and its
// beginning is in the log. The registry is one that nobody serves.
func TestPrepareMissingPulls(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: "missing"})
	name := "127.0.0.1:1/berth/missing:" + uuid.NewString()[:8]
	_, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: name})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Fatalf("got %v", err)
	}
	var coded *provider.Error
	if !errors.As(err, &coded) || coded.Code != codeStart {
		t.Errorf("code: %#v", err)
	}
	if !strings.Contains(r.logs.String(), name) {
		t.Errorf("the log does not tell of the pull: %s", r.logs.String())
	}
}

// Create makes the sandbox from the very image that Prepare saw, and records both names.
func TestCreateRecordsTheImage(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec()
	c := r.inspectRaw(r.create(spec).Sandbox.ID)
	if c.Image != imageID(t, world.image) || c.Config.Labels[labelImage] != world.image || c.Config.Labels[labelDigest] != spec.Digest {
		t.Errorf("image %s, labels %v", c.Image, c.Config.Labels)
	}
}

// A runtime that does not exist is refused before anything is pulled or made.
func TestPrepareUnknownRuntime(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	config, err := json.Marshal(map[string]string{"runtime": "runsc-not-here"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Prepare(t.Context(), provider.PrepareRequest{Image: world.image, Config: config})
	wantFailure(t, err, provider.Unsupported, codeStart, `"runsc-not-here" does not exist at the daemon`, "runc")
}

// Names that are no image's are refused.
func TestPrepareBadName(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	_, err := r.Prepare(context.Background(), provider.PrepareRequest{Image: "Not An Image"})
	wantFailure(t, err, provider.InvalidArgument, codeStart, `"Not An Image" is no image's name`)
}
