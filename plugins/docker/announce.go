package docker

import (
	"context"
	"net/http"
	"strings"
)

// announcer tells of answers whose request asked for it. Docker's client does not say
// whether the daemon has accepted an event stream or refused it.
type announcer struct{ http.RoundTripper }

type announceKey struct{}

type announcement struct {
	path string
	tell func(status int)
}

// onAnswer has tell called, before the client sees the answer, with the status of the
// request whose path ends in path.
func onAnswer(ctx context.Context, path string, tell func(status int)) context.Context {
	return context.WithValue(ctx, announceKey{}, announcement{path, tell})
}

func (a announcer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.RoundTripper.RoundTrip(req)
	if want, ok := req.Context().Value(announceKey{}).(announcement); ok && err == nil && strings.HasSuffix(req.URL.Path, want.path) {
		want.tell(resp.StatusCode)
	}
	return resp, err
}
