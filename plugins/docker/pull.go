package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/image"

	"github.com/berth-dev/berth/sdk/provider"
)

// progressEvery is how often a pull tells in the log how far it is.
const progressEvery = 2 * time.Second

// pullMessage is one line of a pull's stream.
type pullMessage struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Progress struct {
		Current int64 `json:"current"`
		Total   int64 `json:"total"`
	} `json:"progressDetail"`
	Error string `json:"error"`
}

// pull has the daemon pull an image. An error in the stream is the pull's error.
func (p *Provider) pull(ctx context.Context, name string) error {
	p.log.InfoContext(ctx, "pulling an image", "image", name)
	begun := time.Now()
	body, err := p.daemon.client().ImagePull(ctx, name, image.PullOptions{})
	if err != nil {
		return pullFailed(name, err)
	}
	defer body.Close()
	if err := p.follow(ctx, name, body); err != nil {
		return pullFailed(name, err)
	}
	p.log.InfoContext(ctx, "pulled an image", "image", name, "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// follow reads a pull's stream to its end.
func (p *Provider) follow(ctx context.Context, name string, stream io.Reader) error {
	type layer struct{ done, total int64 }
	layers := make(map[string]layer)
	last := time.Now()
	for decoder := json.NewDecoder(stream); ; {
		var m pullMessage
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case m.Error != "":
			return errors.New(m.Error)
		}
		if m.Progress.Total > 0 && m.Status == "Downloading" {
			layers[m.ID] = layer{m.Progress.Current, m.Progress.Total}
		}
		if time.Since(last) < progressEvery {
			continue
		}
		last = time.Now()
		var sum layer
		for _, l := range layers {
			sum.done += l.done
			sum.total += l.total
		}
		p.log.InfoContext(ctx, "pulling an image", "image", name, "status", m.Status,
			"layers", len(layers), "bytes", sum.done, "of_bytes", sum.total)
	}
}

// pullFailed names the image and the remedy. A registry tells in words only that it
// does not have an image, once the stream has begun.
func pullFailed(name string, err error) error {
	out := &provider.Error{Message: fmt.Sprintf("image %q is missing and could not be pulled", name), Err: err}
	text := strings.ToLower(err.Error())
	if containsAny(text, "not found", "manifest unknown", "repository does not exist", "pull access denied") {
		out.Class = provider.NotFound
	}
	return out
}
