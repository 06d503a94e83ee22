package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control/convert"
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
// nothing, against a bare Connect echo: the same request and the same answer, over a unix
// socket to the same process. Target: at most 1.5 for create and get.
//
// Before each call that is timed, another is not: the same for get; for create, which
// comes after other work, an embedded create and delete. The leases are in memory where the system has a place for that: the
// API is the same there, and a disk's noise is many times what it costs.
func BenchmarkAPI(b *testing.B) {
	s := bareSite(b).configure(settings{noDocker: true, more: noop, top: benchMemory(b)})
	h := benchHost(b, s)
	c := client.New(h.ControlSocket())
	defer c.Close()
	kept, err := h.Create(b.Context(), chat())
	if err != nil {
		b.Fatal(err)
	}
	bare := benchEcho(b, s.path("echo.sock"), kept)

	type call func() (made string, err error)
	type way func(context.Context, host.CreateRequest) (host.Session, error)
	create := func(f way) call {
		return func() (string, error) { v, err := f(b.Context(), chat()); return v.ID, err }
	}
	get := func(f func(context.Context, string) (host.Session, error)) call {
		return func() (string, error) { _, err := f(b.Context(), kept.ID); return "", err }
	}
	timed := func(f call) time.Duration {
		begun := time.Now()
		made, err := f()
		took := time.Since(begun)
		if err == nil && made != "" {
			err = h.Delete(b.Context(), made)
		}
		if err != nil {
			b.Fatal(err)
		}
		return took
	}
	verbs := []struct {
		name     string
		before   call    // nil: the same way
		ways     [3]call // echo, embedded, API
		took     [3][]time.Duration
		relative []float64
	}{
		{name: "get", ways: [3]call{bare.get, get(h.Get), get(c.Get)}},
		{name: "create", before: create(h.Create), ways: [3]call{bare.create, create(h.Create), create(c.Create)}},
	}
	for b.Loop() {
		for i := range verbs {
			v := &verbs[i]
			for n := range benchCalls {
				for k := range v.ways { // each comes first as often as the others
					which := (n + k) % len(v.ways)
					before := v.before
					if before == nil {
						before = v.ways[which]
					}
					timed(before)
					v.took[which] = append(v.took[which], timed(v.ways[which]))
				}
				last := func(which int) float64 { return v.took[which][len(v.took[which])-1].Seconds() }
				v.relative = append(v.relative, (last(2)-last(1))/last(0))
			}
		}
	}
	benchNoNanos(b)
	for _, v := range verbs {
		echoed, in, api := benchMedian(v.took[0]), benchMedian(v.took[1]), benchMedian(v.took[2])
		ratio := (api - in).Seconds() / echoed.Seconds()
		b.Logf("%s: %s through the API, %s embedded; the difference is %.2f of a bare echo's %s (median of %d pairs: %.2f)", v.name,
			benchText(api), benchText(in), ratio, benchText(echoed), len(v.relative), benchMedian(v.relative))
		b.ReportMetric(ratio, v.name+"-over-echo")
	}
}

// benchMemory sets a state directory in memory, where the system has a place for it.
func benchMemory(b *testing.B) map[string]string {
	dir, err := os.MkdirTemp("/dev/shm", "berth-bench-")
	if err != nil {
		b.Logf("the leases are on disk: %v", err)
		return nil
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	return map[string]string{"state_dir": quote(dir)}
}

// echo answers GetSession and CreateSession with the same session.
type echo struct {
	controlv1connect.UnimplementedSessionServiceHandler
	session *controlv1.Session
}

func (e echo) GetSession(context.Context, *connect.Request[controlv1.GetSessionRequest]) (*connect.Response[controlv1.GetSessionResponse], error) {
	return connect.NewResponse(&controlv1.GetSessionResponse{Session: e.session}), nil
}

func (e echo) CreateSession(context.Context, *connect.Request[controlv1.CreateSessionRequest]) (*connect.Response[controlv1.CreateSessionResponse], error) {
	return connect.NewResponse(&controlv1.CreateSessionResponse{Session: e.session}), nil
}

// echoed calls an echo. Its calls have made nothing.
type echoed struct {
	ctx context.Context
	c   controlv1connect.SessionServiceClient
	id  string
}

func (e echoed) get() (string, error) {
	_, err := e.c.GetSession(e.ctx, connect.NewRequest(&controlv1.GetSessionRequest{SessionId: e.id}))
	return "", err
}

func (e echoed) create() (string, error) {
	want := chat()
	_, err := e.c.CreateSession(e.ctx, connect.NewRequest(&controlv1.CreateSessionRequest{Template: want.Template, ChatId: want.ChatID, AgentId: want.AgentID}))
	return "", err
}

// benchEcho serves the least that Connect can serve.
func benchEcho(b *testing.B, socket string, like host.Session) echoed {
	b.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(controlv1connect.NewSessionServiceHandler(echo{session: convert.SessionToProto(like)}))
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
	return echoed{b.Context(), controlv1connect.NewSessionServiceClient(&http.Client{Transport: transport}, "http://echo"), like.ID}
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
