package deploy

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// family is one metric of a host.
type family struct {
	kind   string // counter, gauge or histogram
	labels []string
}

// families are a host's metrics, by name.
type families map[string]family

// registry remembers what was registered, whether or not a scrape shows it.
type registry struct {
	*prometheus.Registry
	mu    sync.Mutex
	names []string
}

var fqName = regexp.MustCompile(`fqName: "([^"]+)"`)

func (r *registry) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc)
	go func() { defer close(descs); c.Describe(descs) }()
	for d := range descs {
		r.mu.Lock()
		r.names = append(r.names, fqName.FindStringSubmatch(d.String())[1])
		r.mu.Unlock()
	}
	return r.Registry.Register(c)
}

// exposed are the families on /metrics of a host that has done everything once. They are
// all that it has registered.
var exposed = func() func(t *testing.T) families {
	var mu sync.Mutex
	var found families
	return func(t *testing.T) families {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if found == nil {
			found = scrapeHost(t)
		}
		return found
	}
}()

func scrapeHost(t *testing.T) families {
	t.Helper()
	dir := shortDir(t)
	cfg, diags := config.Parse([]byte(`
		state_dir = "`+filepath.Join(dir, "state")+`"
		lifecycle {
		  sweep_interval = "50ms"
		  stop_grace     = "1s"
		}
		provider "mem" {}
		template "default" {
		  provider = "mem"
		  image    = "agent:1"
		  network  = "sandbox"
		}
	`), "test.hcl")
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	backend := mem.NewBackend("memory")
	broken := &provider.Error{Class: provider.Internal, Message: "not today"}
	backend.Fail(mem.Configure, mem.Fault{Times: 1, Err: broken})
	backend.Fail(mem.Create, mem.Fault{Times: 1, Outcome: "odd"})
	backend.Put(provider.Sandbox{Owner: "somebody", SessionID: uuid.NewString()})
	reg := &registry{Registry: prometheus.NewRegistry()}
	h, err := host.New(cfg, host.Options{
		Registerer: reg, Providers: map[string]provider.Plugin{"mem": mem.Plugin(backend)},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := h.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	chat := func(ttl time.Duration) host.CreateRequest {
		return host.CreateRequest{Template: "default", ChatID: uuid.NewString(), TTL: ttl}
	}
	if _, err := h.Create(ctx, chat(0)); err == nil {
		t.Fatal("a create that was to fail did not")
	}
	for _, ttl := range []time.Duration{0, 100 * time.Millisecond} {
		if _, err := h.Create(ctx, chat(ttl)); err != nil {
			t.Fatal(err)
		}
	}

	var text string
	want := slices.Sorted(slices.Values(reg.names))
	await(t, 20*time.Second, func() bool {
		answer := httptest.NewRecorder()
		h.MetricsHandler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		text = answer.Body.String()
		return slices.Equal(slices.Sorted(maps.Keys(readFamilies(text))), want) && strings.Contains(text, `reason="expired"`)
	}, func() string { return "the scrape shows all of " + strings.Join(want, " ") + ":\n" + text })
	return readFamilies(text)
}

var seriesLabel = regexp.MustCompile(`([a-z_]+)="[^"]*"`)

// readFamilies reads the text format.
func readFamilies(text string) families {
	found := families{}
	name := ""
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			name = f[2]
			found[name] = family{kind: f[3]}
			continue
		}
		fam, ok := found[name]
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for _, m := range seriesLabel.FindAllStringSubmatch(line, -1) {
			if m[1] != "le" && !slices.Contains(fam.labels, m[1]) {
				fam.labels = append(fam.labels, m[1])
			}
		}
		found[name] = fam
	}
	return found
}

// await waits until ok, and fails the test with what was awaited when that takes too long.
func await(t *testing.T, within time.Duration, ok func() bool, what func() string) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("after %v it is not so that %s", within, what())
		}
	}
}

// shortDir is a directory of the test's own, with a path that leaves room for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bdep-")
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
