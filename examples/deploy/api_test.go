package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// session is what the tests read of a session.
type session struct {
	ID        string    `json:"session_id"`
	ChatID    string    `json:"chat_id"`
	SandboxID string    `json:"sandbox_id"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Endpoint  *struct {
		IP   string `json:"ip"`
		Port int    `json:"port"`
	} `json:"endpoint"`
	Ended *struct {
		Reason string    `json:"reason"`
		At     time.Time `json:"at"`
	} `json:"ended"`
}

// answer is what the tests read of the API's answers.
type answer struct {
	Session   session `json:"session"`
	Providers []struct {
		Name   string `json:"name"`
		State  string `json:"state"`
		Reason string `json:"reason"`
	} `json:"providers"`
}

// request is what the tests ask for.
type request map[string]any

// call asks the API on a socket, as curl would.
func call(ctx context.Context, socket, method string, req request) (a answer, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return a, err
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://berth/berth.control.v1."+method, bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	post.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Transport: transport}).Do(post)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return a, err
	}
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s: %s: %s", method, res.Status, text)
	}
	return a, json.Unmarshal(text, &a)
}

// must asks the API and fails the test with its error.
func must(t *testing.T, socket, method string, req request) answer {
	t.Helper()
	a, err := call(t.Context(), socket, method, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// awaitReady waits until the host on a socket says that all its providers are ready.
func awaitReady(t *testing.T, socket string, log func() string) {
	t.Helper()
	var last any
	await(t, time.Minute, func() bool {
		a, err := call(t.Context(), socket, "ProviderService/ListProviders", request{})
		last = a.Providers
		if err != nil {
			last = err
		}
		ready := len(a.Providers) > 0
		for _, p := range a.Providers {
			ready = ready && p.State == "ready"
		}
		return ready
	}, func() string { return fmt.Sprintf("the host is ready: %v\n%s", last, log()) })
}

// ask gets the first page of a sandbox's agent.
func ask(t *testing.T, s session) string {
	t.Helper()
	if s.Endpoint == nil {
		t.Fatalf("session %s has no endpoint", s.ID)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/", s.Endpoint.IP, s.Endpoint.Port), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
