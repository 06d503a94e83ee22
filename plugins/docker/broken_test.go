package docker

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/berth-dev/berth/sdk/provider"
)

// create 6: no entry for the network, or an empty IP: the container goes, create fails.
func TestCreate6NoAddress(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(networks map[string]any)
	}{
		{"no entry", func(n map[string]any) { clear(n) }},
		{"empty IP", func(n map[string]any) { n[world.network].(map[string]any)["IPAddress"] = "" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy := newProxy(t)
			r := openRig(t, Config{}, world.api)
			spec := r.newSpec()
			proxy.use(hooks{after: func(req *http.Request, resp *http.Response) {
				if is(req, http.MethodGet, "/json") && strings.Contains(req.URL.Path, "/containers/") && resp.StatusCode == http.StatusOK {
					rewrite(t, resp, func(c map[string]any) {
						test.change(c["NetworkSettings"].(map[string]any)["Networks"].(map[string]any))
					})
				}
			}})
			_, err := r.Create(t.Context(), spec)
			wantFailure(t, err, provider.Internal, codeStart, spec.ChatID, "no IP address on network", world.network)
			r.wantNothing(spec)
		})
	}
}

// create 6: the last 50 lines of the log are in the error before the container goes.
func TestCreate6LogTail(t *testing.T) {
	proxy := newProxy(t)
	r := openRig(t, Config{}, world.api)
	for _, test := range []struct {
		command []string
		says    string
		lines   int
		last    string
	}{
		{[]string{"/agent", "-print=60", "-exit=3"}, "exited at once with code 3", 50, "line 59"},
		{[]string{"/nothing/here"}, "exited at once with code 127", 1, "exec /nothing/here failed: No such file or directory"},
		{[]string{"/workspace"}, "exited at once with code 126", 1, "exec /workspace failed: Permission denied"},
	} {
		spec := r.newSpec(command(test.command...))
		proxy.use(hooks{after: func(req *http.Request, _ *http.Response) {
			if is(req, http.MethodPost, "/start") {
				waitExited(t, r, spec.Name)
			}
		}})
		_, err := r.Create(t.Context(), spec)
		wantFailure(t, err, provider.Internal, codeStart, spec.ChatID, test.says, test.last)
		r.wantNothing(spec)
		tail := provider.LogTailOf(err)
		if n := len(strings.Split(tail, "\n")); n != test.lines || !strings.Contains(tail, test.last) {
			t.Errorf("the log tail has %d lines, want %d with %q:\n%s", n, test.lines, test.last, tail)
		}
		if !strings.Contains(err.Error(), tail) {
			t.Errorf("the error's text has no log tail: %v", err)
		}
	}
}

func waitExited(t *testing.T, r *rig, name string) {
	t.Helper()
	eventually(t, "the exit", func() bool {
		c, err := r.api.ContainerInspect(context.Background(), name)
		return err == nil && c.State.Status == container.StateExited
	})
}

// create 6: also when the caller's context is cancelled, wherever that hits.
func TestCreate6CancelledLeavesNothing(t *testing.T) {
	for _, where := range []string{"before create", "after create", "before start", "after start", "after inspect"} {
		t.Run(where, func(t *testing.T) {
			proxy := newProxy(t)
			r := openRig(t, Config{}, world.api)
			spec := r.newSpec()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			hit := func(when string, req *http.Request) {
				if where == when+" create" && is(req, http.MethodPost, "/containers/create") ||
					where == when+" start" && is(req, http.MethodPost, "/start") ||
					where == when+" inspect" && is(req, http.MethodGet, "/json") && strings.Contains(req.URL.Path, "/containers/") {
					cancel()
				}
			}
			proxy.use(hooks{
				before: func(req *http.Request) { hit("before", req) },
				after:  func(req *http.Request, _ *http.Response) { hit("after", req) },
			})
			_, err := r.Create(ctx, spec)
			wantFailure(t, err, provider.Canceled, codeStart, spec.ChatID)
			if ctx.Err() == nil {
				t.Error("the test did not cancel")
			}
			r.wantNothing(spec)
		})
	}
}

// A create whose answer is lost is cleaned up, and is Unavailable: the caller may try
// again.
func TestCreateAnswerLost(t *testing.T) {
	for _, suffix := range []string{"/containers/create", "/start"} {
		t.Run(suffix, func(t *testing.T) {
			proxy := newProxy(t)
			r := openRig(t, Config{}, world.api)
			spec := r.newSpec()
			proxy.use(hooks{cut: func(req *http.Request) bool { return is(req, http.MethodPost, suffix) }})
			_, err := r.Create(t.Context(), spec)
			wantFailure(t, err, provider.Unavailable, codeStart, spec.ChatID)
			r.wantNothing(spec)
		})
	}
}

// A container that can't be removed after a failed create is told.
func TestCreateUndoFails(t *testing.T) {
	proxy := newProxy(t)
	r := openRig(t, Config{}, world.api)
	spec := r.newSpec(func(s *provider.Spec) { s.Network = "berth-no-such-network" })
	proxy.use(hooks{after: func(req *http.Request, resp *http.Response) {
		if req.Method == http.MethodDelete {
			replace(resp, http.StatusInternalServerError, `{"message":"device is busy"}`)
		}
	}})
	_, err := r.Create(t.Context(), spec)
	wantFailure(t, err, provider.Unavailable, codeStart, "could not be removed", "device is busy", "berth-no-such-network not found")
}

// create 7: an answer without a container id is an error, not a sandbox.
func TestCreate7NoContainerID(t *testing.T) {
	proxy := newProxy(t)
	r := openRig(t, Config{}, world.api)
	spec := r.newSpec()
	proxy.use(hooks{after: func(req *http.Request, resp *http.Response) {
		if is(req, http.MethodPost, "/containers/create") {
			rewrite(t, resp, func(c map[string]any) { c["Id"] = "" })
		}
	}})
	_, err := r.Create(t.Context(), spec)
	wantFailure(t, err, provider.Internal, codeStart, spec.ChatID, "without a container id")
	r.wantNothing(spec)
}

// A create asks the daemon three things once its image is known and its identity is.
func TestCreateRequests(t *testing.T) {
	proxy := newProxy(t)
	r := openRig(t, Config{}, world.api)
	r.create(r.newSpec())
	spec := r.newSpec()
	proxy.requests()
	id := r.create(spec).Sandbox.ID
	if got, want := proxy.requests(), []string{
		"POST /containers/create", "POST /containers/" + id + "/start", "GET /containers/" + id + "/json",
	}; !slices.Equal(got, want) {
		t.Errorf("the daemon was asked %q, want %q", got, want)
	}
}

// list: the daemon is asked once, whatever there is.
func TestListAsksOnce(t *testing.T) {
	proxy := newProxy(t)
	r := openRig(t, Config{}, world.api)
	for range 3 {
		r.create(r.newSpec())
	}
	proxy.requests()
	r.listed("")
	if got := proxy.requests(); !slices.Equal(got, []string{"GET /containers/json"}) {
		t.Errorf("the daemon was asked %q", got)
	}
}

// list: a daemon error is sandbox_list_failed with the cause, never an empty list.
func TestListDaemonError(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		body   string
		class  provider.Class
	}{
		{"internal", http.StatusInternalServerError, `{"message":"layer store is on fire"}`, provider.Internal},
		{"unavailable", http.StatusServiceUnavailable, `{"message":"dockerd is starting"}`, provider.Unavailable},
		{"cut off", http.StatusOK, `[{"Id":"abc"`, provider.Unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy := newProxy(t)
			r := openRig(t, Config{}, world.api)
			proxy.use(hooks{after: func(req *http.Request, resp *http.Response) {
				if is(req, http.MethodGet, "/containers/json") {
					replace(resp, test.status, test.body)
				}
			}})
			summary, err := r.List(t.Context(), func(provider.Sandbox) error { t.Error("something was yielded"); return nil })
			wantFailure(t, err, test.class, codeList)
			if summary.Total != 0 || len(summary.Unreadable) != 0 {
				t.Errorf("summary is %+v", summary)
			}
			span := r.span(spanList)
			wantFailedSpan(t, span, codeList, errors.Unwrap(err).Error())
			r.wantFailedLog("list failed", codeList, "class", string(test.class))
		})
	}
}

// stop and delete: a daemon error is sandbox_stop_failed with the cause. The failed span of a
// stop has the ids of the container's labels.
func TestStopAndDeleteDaemonError(t *testing.T) {
	for _, test := range []struct {
		name, span string
		refused    func(req *http.Request) bool
		call       func(r *rig, id string, f provider.Fence) error
		ids        bool // of session and chat, in the span
	}{
		{"stop", spanStop, func(req *http.Request) bool { return is(req, http.MethodPost, "/stop") },
			func(r *rig, id string, f provider.Fence) error {
				_, err := r.Stop(r.t.Context(), provider.StopRequest{ID: id, Fence: f})
				return err
			}, true},
		{"delete", spanDelete, func(req *http.Request) bool { return req.Method == http.MethodDelete },
			func(r *rig, id string, f provider.Fence) error {
				_, err := r.Delete(r.t.Context(), provider.DeleteRequest{ID: id, Fence: f})
				return err
			}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy := newProxy(t)
			r := openRig(t, Config{}, world.api)
			spec := r.newSpec()
			id := r.create(spec).Sandbox.ID
			proxy.use(hooks{after: func(req *http.Request, resp *http.Response) {
				if test.refused(req) {
					replace(resp, http.StatusInternalServerError, `{"message":"the shim is stuck"}`)
				}
			}})
			err := test.call(r, id, fence(spec))
			wantFailure(t, err, provider.Internal, codeStop, id, "the shim is stuck")
			if cause := errors.Unwrap(err); !cerrdefs.IsInternal(cause) || !strings.Contains(cause.Error(), "the shim is stuck") {
				t.Errorf("the cause is %#v, want the daemon's own error", cause)
			}
			span := r.span(test.span)
			wantFailedSpan(t, span, codeStop, "the shim is stuck")
			r.wantFailedLog(test.name+" failed", codeStop, "container_id", id)
			want := map[string]string{"container.id": id, "sandbox.result": "error"}
			if test.ids {
				want["session.id"], want["chat.id"] = spec.SessionID, spec.ChatID
			}
			if got := attributes(span.Attributes()); !maps.Equal(got, want) {
				t.Errorf("the span has %v, want %v", got, want)
			}
		})
	}
}

// A daemon that was replaced by an older one, or by a newer one that speaks the old versions
// no more, is spoken to in its own. Each is told by the daemon's words, so that it takes an
// engine that refuses: an old one the first, a current one the second.
func TestRenegotiate(t *testing.T) {
	for _, test := range []struct{ name, before, accepts string }{
		{"replaced by an older one", "1.99", "this daemon speaks the newest version of the API that the client knows"},
		{"replaced by a newer one", "1.24", "this daemon speaks the oldest version of the API that the client knows"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if version := os.Getenv(client.EnvOverrideAPIVersion); version != "" {
				t.Skipf("%s=%s: nothing is negotiated", client.EnvOverrideAPIVersion, version)
			}
			proxy := newProxy(t)
			var replaced atomic.Bool
			proxy.use(hooks{after: func(req *http.Request, resp *http.Response) {
				if strings.HasSuffix(req.URL.Path, "/_ping") && !replaced.Load() {
					resp.Header.Set("Api-Version", test.before)
				}
			}})
			r := openRig(t, Config{}, world.api)
			if _, err := r.Identity(t.Context()); !errors.Is(err, provider.Unavailable) {
				if err == nil {
					t.Skip(test.accepts)
				}
				t.Fatalf("error is %v, want Unavailable", err)
			}
			replaced.Store(true)
			if _, err := r.Identity(t.Context()); err != nil {
				t.Errorf("after the negotiation: %v", err)
			}
		})
	}
}
