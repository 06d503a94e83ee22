package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"

	"github.com/berth-dev/berth/sdk/provider"
)

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

// pull has the daemon pull an image, and tells how that goes.
func (p *Provider) pull(ctx context.Context, name string) error {
	begun := time.Now()
	p.tell(ctx, name, "pulling")
	digest, err := p.pullQuietly(ctx, name)
	if err != nil {
		p.tell(ctx, name, "failed: "+oneLine(err.Error()))
		return err
	}
	p.tell(ctx, name, fmt.Sprintf("pulled, %s in %.1fs", digest, time.Since(begun).Seconds()))
	return nil
}

// pullQuietly tells no more than how far the layers are. It returns what the image is.
func (p *Provider) pullQuietly(ctx context.Context, name string) (digest string, err error) {
	login, err := loginFor(ctx, name)
	if err != nil {
		return "", &provider.Error{Class: classOf(ctx, err), Message: notPulled(name), Err: err}
	}
	body, err := p.daemon.client().ImagePull(ctx, name, image.PullOptions{RegistryAuth: login.auth})
	if err != nil {
		return "", p.pullFailed(ctx, name, login, err)
	}
	defer body.Close()
	if err := p.follow(ctx, name, body); err != nil {
		return "", p.pullFailed(ctx, name, login, err)
	}
	img, err := p.daemon.client().ImageInspect(ctx, name)
	if err != nil {
		return "", err
	}
	return digestOf(name, img), nil
}

// follow reads a pull's stream to its end. An error in the stream is the pull's error.
func (p *Provider) follow(ctx context.Context, name string, stream io.Reader) error {
	var state layers
	over, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		p.tellLayers(ctx, name, &state, over)
	}()
	defer func() { close(over); <-told }()
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
		state.saw(m)
	}
}

// tellLayers tells, until over is closed, how far the layers are, each time that it has
// changed; the log hears of it less often.
func (p *Provider) tellLayers(ctx context.Context, name string, state *layers, over <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	last, logged := state.String(), state.String()
	for n := 1; ; n++ {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		now := state.String()
		switch {
		case n%loggedEvery == 0 && now != logged:
			p.tell(ctx, name, now)
			logged = now
		case now != last:
			p.hint(name, now)
		}
		last = now
	}
}

// pullFailed names the image and the remedy. What is wrong with a registry, the daemon
// tells in words only.
func (p *Provider) pullFailed(ctx context.Context, name string, login login, err error) error {
	out := &provider.Error{Message: notPulled(name), Err: err}
	text := strings.ToLower(err.Error())
	switch {
	case strings.Contains(text, "no basic auth credentials"): // engines from 25.0 say "pull access denied" as well
		out.Class = provider.InvalidArgument
		out.Message += ": " + login.denied()
	case containsAny(text, "not found", "manifest unknown", "no matching manifest", "repository does not exist", "pull access denied"), isHidden(err, text):
		out.Class = provider.NotFound
		if strings.Contains(text, "pull access denied") || isHidden(err, text) {
			out.Message += "; if it is a private one, " + login.denied()
		}
	case cerrdefs.IsUnauthorized(err), cerrdefs.IsPermissionDenied(err), containsAny(strings.ReplaceAll(text, "permission denied", ""), registryDenied...):
		out.Class = provider.InvalidArgument
		out.Message += ": " + login.denied()
	case containsAny(text, "toomanyrequests", "too many requests", "http 429 response"):
		out.Class = provider.Exhausted
		out.Message += ": its registry wants no more pulls for now"
	case containsAny(text, registryAway...):
		out.Class = provider.Unavailable
		out.Message += ": the daemon can't reach its registry"
		if p.config.Pull == pullAlways {
			out.Message += `, and pull is "always", which takes no older image; write pull = "missing" to take the one that is there`
		}
	default:
		out.Class = classOf(ctx, err)
	}
	return out
}

// isHidden knows a registry that lets these credentials in and not to this image, in the
// words of engines from 25.0 with containerd's images; others say "pull access denied". A
// refusal by the daemon itself is none. A registry may say no more than the status.
func isHidden(err error, text string) bool {
	return cerrdefs.IsPermissionDenied(err) && strings.Contains(text, "error from registry") || containsAny(text, "403 forbidden", "http 403 response")
}

func notPulled(name string) string { return fmt.Sprintf("image %q could not be pulled", name) }

// registryDenied are the words of a registry that lets nobody in with these credentials.
// "permission denied" is a file's at the daemon's machine.
var registryDenied = []string{
	"unauthorized", "no basic auth credentials", "authentication required",
	"incorrect username or password", "denied",
}

// registryAway are the words of a daemon that can't reach a registry, or whose registry
// can't serve it.
var registryAway = []string{
	"connection refused", "connection reset", "no such host", "server misbehaving",
	"temporary failure in name resolution", "network is unreachable", "no route to host",
	"i/o timeout", "handshake timeout", "timeout exceeded", "deadline exceeded",
	"unexpected http status: 5", "500 internal server error", "service unavailable", "bad gateway", "gateway timeout",
	"unexpected eof", "\": eof",
}
