package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control"
)

// The tries become rarer, to one in 2.5 to 7.5 s, and Close waits for none.
func TestWatchWaits(t *testing.T) {
	socket := filepath.Join(shortDir(t), "nobody.sock")
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		began := time.Now()
		var c *client.Client
		c = client.New(socket, client.WithOnDisconnect(func(error) {
			tries = append(tries, time.Since(began))
			if len(tries) == 20 {
				time.AfterFunc(time.Second, c.Close)
			}
		}))
		for range c.Watch(t.Context()) {
			t.Error("an event from nobody")
		}
		if over := time.Since(began) - tries[19]; over != time.Second {
			t.Errorf("the watch ended %v after the last try, want 1s", over)
		}
		for i, limit := 1, 100*time.Millisecond; i < len(tries); i, limit = i+1, min(2*limit, 5*time.Second) {
			if wait := tries[i] - tries[i-1]; wait < limit/2 || wait > limit*3/2+1 {
				t.Errorf("wait %d is %v, want %v to %v", i, wait, limit/2, limit*3/2)
			}
		}
	})
}

// roundTripper answers a request when its handler has ended, without any network.
type roundTripper struct{ http.Handler }

func (h roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// After a watch that was in step the tries begin anew, as often as that happens.
func TestWatchWaitsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const times = 10
		h := &script{watches: make([][]host.Event, times+1)}
		for i := range times {
			h.watches[i] = []host.Event{{Type: host.EventSynced}}
		}
		s := control.New(h, control.Options{})
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began, ends := time.Now(), 0
		c := client.New("/nowhere", client.WithHTTPClient(&http.Client{Transport: roundTripper{s.Handler()}}), client.WithOnDisconnect(func(err error) {
			if ends++; ends == times {
				cancel()
			}
		}))
		for range c.Watch(ctx) {
		}
		if took := time.Since(began); ends != times || took < (times-1)*50*time.Millisecond || took > (times-1)*150*time.Millisecond {
			t.Errorf("%d watches took %v", ends, took)
		}
	})
}
