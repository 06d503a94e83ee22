package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
	"github.com/berth-dev/berth/proto/control/v1/controlv1connect"
)

// benchCalls is how many calls of each kind the API's cost is the median of.
const benchCalls = 300

// noop is a template whose provider does nothing.
const noop = `
provider "mock" {}
template "default" {
  provider = "mock"
  image    = "agent:1"
}
`

// BenchmarkAPI is what the API costs above the embedded call, on a provider that does
// nothing, against a bare Connect echo: the same request and answer, over a unix socket to
// the same process. Target: at most 1.5 for create and get.
func BenchmarkAPI(b *testing.B) {
	s := bareSite(b).configure(settings{noDocker: true, more: noop})
	h := benchHost(b, s)
	c := client.New(h.ControlSocket())
	defer c.Close()
	kept, err := h.Create(b.Context(), chat())
	if err != nil {
		b.Fatal(err)
	}
	echo := benchEcho(b, s.path("echo.sock"), kept)

	timed := func(call func() error) time.Duration {
		begun := time.Now()
		if err := call(); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun)
	}
	drop := func(v host.Session) { // not counted
		if err := h.Delete(b.Context(), v.ID); err != nil {
			b.Fatal(err)
		}
	}
	create := func(f func(context.Context, host.CreateRequest) (host.Session, error)) time.Duration {
		var made host.Session
		took := timed(func() (err error) { made, err = f(b.Context(), chat()); return err })
		drop(made)
		return took
	}
	get := func(f func(context.Context, string) (host.Session, error)) time.Duration {
		return timed(func() error { _, err := f(b.Context(), kept.ID); return err })
	}
	var createAPI, createIn, getAPI, getIn, echoed, paused []time.Duration
	for b.Loop() {
		for range benchCalls {
			timed(echo) // whoever comes first after a pause pays for it
			echoed = append(echoed, timed(echo))
			getAPI, getIn = append(getAPI, get(c.Get)), append(getIn, get(h.Get))
			createIn, createAPI = append(createIn, create(h.Create)), append(createAPI, create(c.Create))
			// A create waits for the disk, and what comes after a pause pays for it: so does
			// the echo that it is held against.
			<-time.After(createIn[len(createIn)-1])
			paused = append(paused, timed(echo))
		}
	}
	benchNoNanos(b)
	for _, call := range []struct {
		name          string
		api, in, echo []time.Duration
	}{{"get", getAPI, getIn, echoed}, {"create", createAPI, createIn, paused}} {
		api, in, bare := benchMedian(call.api), benchMedian(call.in), benchMedian(call.echo)
		ratio := (api - in).Seconds() / bare.Seconds()
		b.Logf("%s: %s through the API, %s embedded; the difference is %.2f of a bare echo's %s", call.name,
			benchText(api), benchText(in), ratio, benchText(bare))
		b.ReportMetric(ratio, call.name+"-over-echo")
	}
}

// echo answers every GetSession with the same session.
type echo struct {
	controlv1connect.UnimplementedSessionServiceHandler
	answer *controlv1.GetSessionResponse
}

func (e echo) GetSession(context.Context, *connect.Request[controlv1.GetSessionRequest]) (*connect.Response[controlv1.GetSessionResponse], error) {
	return connect.NewResponse(e.answer), nil
}

// benchEcho serves the least that Connect can serve, and returns one call of it.
func benchEcho(b *testing.B, socket string, like host.Session) func() error {
	b.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewSessionServiceHandler(echo{answer: &controlv1.GetSessionResponse{Session: &controlv1.Session{
		SessionId: like.ID, ChatId: like.ChatID, Template: like.Template, Provider: like.Provider, SandboxId: like.SandboxID, Status: string(like.Status),
	}}}))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	c := controlv1connect.NewSessionServiceClient(&http.Client{Transport: transport}, "http://echo")
	return func() error {
		_, err := c.GetSession(b.Context(), connect.NewRequest(&controlv1.GetSessionRequest{SessionId: like.ID}))
		return err
	}
}

// BenchmarkAPIWhileCreating is how long get, list and /healthz take while eight creates at
// a time run on Docker. Target: at most 50 ms at the 95th percentile.
func BenchmarkAPIWhileCreating(b *testing.B) {
	s := newSite(b).configure(settings{})
	h := benchHost(b, s)
	c := client.New(h.ControlSocket())
	defer c.Close()
	kept, err := h.Create(b.Context(), chat())
	if err != nil {
		b.Fatal(err)
	}
	calls := []struct {
		name string
		do   func() error
	}{
		{"get", func() error { _, err := c.Get(b.Context(), kept.ID); return err }},
		{"list", func() error { _, err := c.List(b.Context(), host.Filter{All: true}); return err }},
		{"healthz", func() error {
			res, err := http.Get("http://" + h.MetricsAddress() + "/healthz")
			if err == nil {
				res.Body.Close()
			}
			return err
		}},
	}
	took := make([][]time.Duration, len(calls))
	for b.Loop() {
		var creators sync.WaitGroup
		stop := make(chan struct{})
		for range 8 {
			creators.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					v, err := c.Create(b.Context(), chat())
					if err == nil {
						err = c.Delete(b.Context(), v.ID)
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		tick := time.NewTicker(20 * time.Millisecond)
		for range 250 {
			<-tick.C
			for i, call := range calls {
				begun := time.Now()
				if err := call.do(); err != nil {
					b.Error(err)
				}
				took[i] = append(took[i], time.Since(begun))
			}
		}
		tick.Stop()
		close(stop)
		creators.Wait()
	}
	benchNoNanos(b)
	for i, call := range calls {
		p95 := benchPercentile(took[i], 95)
		b.Logf("%s while 8 creates run: median %s, p95 %s, worst %s", call.name,
			benchText(benchMedian(took[i])), benchText(p95), benchText(took[i][len(took[i])-1]))
		b.ReportMetric(p95.Seconds()*1e3, call.name+"-p95-ms")
	}
}

// benchPercentile sorts values and returns the one that so many per cent are not above.
func benchPercentile(values []time.Duration, percent int) time.Duration {
	benchMedian(values)
	return values[(len(values)-1)*percent/100]
}

// BenchmarkWatchers is how long an event takes to each of a thousand watchers of the API.
func BenchmarkWatchers(b *testing.B) {
	const watchers, events = 1000, 20
	s := bareSite(b).configure(settings{noDocker: true, more: noop})
	h := benchHost(b, s)
	kept, err := h.Create(b.Context(), chat())
	if err != nil {
		b.Fatal(err)
	}
	ctx, end := context.WithCancel(b.Context())
	defer end()
	var synced, watching sync.WaitGroup
	defer watching.Wait()
	defer end()
	arrived := make(chan time.Time, watchers*events)
	for i := range 10 { // connections
		c := client.New(h.ControlSocket())
		b.Cleanup(c.Close)
		for range watchers / 10 {
			synced.Add(1)
			watching.Go(func() {
				for ev := range c.Watch(ctx) {
					switch ev.Type {
					case host.EventSynced:
						synced.Done()
					case host.EventChanged:
						arrived <- time.Now()
					case host.EventResync:
						b.Errorf("a watcher of client %d was cut off", i)
					}
				}
			})
		}
	}
	synced.Wait()
	var lags []time.Duration
	for b.Loop() {
		for range events {
			begun := time.Now()
			if _, err := h.Extend(b.Context(), kept.ID, host.ExtendRequest{By: time.Second}); err != nil {
				b.Fatal(err)
			}
			for range watchers {
				lags = append(lags, (<-arrived).Sub(begun))
			}
		}
	}
	benchNoNanos(b)
	p99 := benchPercentile(lags, 99)
	b.Logf("an extension, its lease on disk, told to %d watchers: median %s, p99 %s, worst %s", watchers,
		benchText(benchMedian(lags)), benchText(p99), benchText(lags[len(lags)-1]))
	b.ReportMetric(p99.Seconds()*1e3, "fanout-p99-ms")
}

// BenchmarkListPages reads 10,000 sessions through the API in pages of 100, beside the copy
// that the embedded List makes. What is held must not grow with the pages.
func BenchmarkListPages(b *testing.B) {
	const sessions, page = 10000, 100
	s := bareSite(b).configure(settings{noDocker: true, more: noop, lifecycle: map[string]string{"max_sessions": fmt.Sprint(sessions), "max_creating": "64"}})
	h := benchHost(b, s)
	var work sync.WaitGroup
	for range 64 {
		work.Go(func() {
			for range sessions / 64 {
				if _, err := h.Create(b.Context(), chat()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	c := client.New(h.ControlSocket())
	defer c.Close()
	var paged, copied []time.Duration
	var most, whole uint64
	for b.Loop() {
		begun, before, n := time.Now(), benchHeap(), 0
		for v, err := range c.All(b.Context(), host.Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n%(10*page) == 0 {
				most = max(most, benchHeap()-min(before, benchHeap()))
			}
			_ = v
		}
		paged = append(paged, time.Since(begun))
		begun, before = time.Now(), benchHeap()
		list, err := h.List(b.Context(), host.Filter{})
		copied = append(copied, time.Since(begun))
		if err != nil || len(list) != n {
			b.Fatalf("%d in pages, %d in one list: %v", n, len(list), err)
		}
		whole = max(whole, benchHeap()-min(before, benchHeap()))
		_ = list[0]
	}
	benchNoNanos(b)
	b.Logf("%d sessions: %s in pages with at most %d KiB more held; the embedded copy %s and %d KiB", sessions/64*64,
		benchText(benchMedian(paged)), most>>10, benchText(benchMedian(copied)), whole>>10)
	b.ReportMetric(float64(most>>10), "pages-KiB")
	b.ReportMetric(float64(whole>>10), "copy-KiB")
}
