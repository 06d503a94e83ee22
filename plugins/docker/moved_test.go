package docker

import (
	"testing"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
	"github.com/berth-dev/berth/sdk/provider"
)

// A sandbox is made from the very image that was prepared, also when its name means
// another one by now, and whether or not the provider remembers: one that was loaded.
func TestCreateAfterTheNameMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	name := "berth-test-moved-" + uuid.NewString()[:8] + ":one"
	load := func(user string) string {
		id, err := dockertest.ImportImage(t.Context(), r.api, name, world.agent, user)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { removeImage(t, id) })
		return imageID(t, name)
	}
	was := load("1:1")
	prepared, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: name})
	if err != nil {
		t.Fatal(err)
	}
	if load("2:2") == was {
		t.Fatal("the name has not moved")
	}
	for _, p := range []*rig{r, newRig(t, Config{})} {
		created := p.create(p.newSpec(func(s *provider.Spec) { s.Image, s.Digest = name, prepared.Digest }))
		if c := p.inspectRaw(created.Sandbox.ID); c.Image != was {
			t.Errorf("made from %s, prepared was %s", c.Image, was)
		}
	}
}

// The same with one that was pulled, and whose tag was moved by another pull.
func TestPinAfterTheTagMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Pull: pullAlways})
	reg := newRegistry(t)
	name := reg.host + "/berth/moving:one"
	var digests, ids []string
	for range 2 {
		digests = append(digests, reg.push(t, "berth/moving:one", 1))
		if _, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: name}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, imageID(t, name))
	}
	t.Cleanup(func() {
		for _, id := range ids {
			removeImage(t, id)
		}
	})
	for i, digest := range digests {
		for _, p := range []*rig{r, newRig(t, Config{})} {
			pin, err := p.pin(t.Context(), name, digest)
			if err != nil {
				t.Error(err)
				continue
			}
			if img, err := r.api.ImageInspect(t.Context(), pin); err != nil || img.ID != ids[i] {
				t.Errorf("image %d of the tag is pinned as %s, which is %q: %v", i+1, pin, img.ID, err)
			}
		}
	}
}
