package lifecycle_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/sdk/provider"
)

// template makes Specs for the mem provider. Its fields are set before the engine runs.
type template struct {
	name     string
	provider string
	ttl      time.Duration
	limits   lifecycle.TemplateLimits
	ready    lease.Ready
	port     int
	config   string // of the sandbox, a JSON object
	specErr  error
	specTime time.Duration // that Spec takes
}

func (t *template) Name() string                     { return t.name }
func (t *template) Provider() string                 { return t.provider }
func (t *template) TTL() time.Duration               { return t.ttl }
func (t *template) Limits() lifecycle.TemplateLimits { return t.limits }
func (t *template) Ready() lease.Ready               { return t.ready }

func (t *template) Image() provider.PrepareRequest { return provider.PrepareRequest{Image: "sandbox"} }

func (t *template) CheckVolume(volume string) (string, error) {
	if volume == "/outside" {
		return "", &provider.Error{Class: provider.InvalidArgument, Message: "volume: /outside is in none of volume_roots"}
	}
	return "/resolved" + volume, nil
}

func (t *template) Spec(_ context.Context, in lifecycle.SpecInput) (provider.Spec, error) {
	<-time.After(t.specTime)
	if t.specErr != nil {
		return provider.Spec{}, t.specErr
	}
	return provider.Spec{
		SessionID: in.SessionID, ChatID: in.ChatID, AgentID: in.AgentID, Template: t.name,
		CreatedAt: in.CreatedAt, ExpiresAt: in.ExpiresAt, VolumeHostPath: in.VolumeHostPath,
		Image: "sandbox", Digest: in.Prepared.Digest, Port: t.port, Config: []byte(t.config),
	}, nil
}

// prober answers after a while, or never.
type prober struct {
	mu    sync.Mutex
	after time.Duration
	never bool
	err   error
	calls int
}

func (p *prober) set(after time.Duration, never bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after, p.never = after, never
}

func (p *prober) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

func (p *prober) Probe(ctx context.Context, _ lease.Endpoint, _ lease.Ready) error {
	p.mu.Lock()
	p.calls++
	after, never, err := p.after, p.never, p.err
	p.mu.Unlock()
	if never {
		<-ctx.Done()
		return errors.New("connection refused")
	}
	select {
	case <-time.After(after):
		return err
	case <-ctx.Done():
		return errors.New("connection refused")
	}
}

// observer keeps what it is told.
type observer struct {
	mu      sync.Mutex
	ops     []string        // "create created", "delete error", …
	took    []time.Duration // by the calls of each of ops
	ended   []lease.Reason
	lags    []time.Duration
	orphans []string // "deleted", "foreign", …
	bad     []string // the verbs of answers that were not believed
}

func (o *observer) BadAnswer(_, method string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bad = append(o.bad, method)
}

func (o *observer) Operation(ctx context.Context, _, operation string, _ lifecycle.OperationIDs) (context.Context, lifecycle.Operation) {
	return ctx, &operationOf{o: o, name: operation}
}

func (o *observer) Ended(_ string, reason lease.Reason) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = append(o.ended, reason)
}

func (o *observer) ExpiryLag(_ string, lag time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lags = append(o.lags, lag)
}

func (o *observer) Orphan(_, action string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.orphans = append(o.orphans, action)
}

func (o *observer) all() (ops []string, ended []lease.Reason, lags []time.Duration, orphans []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append(ops, o.ops...), append(ended, o.ended...), append(lags, o.lags...), append(orphans, o.orphans...)
}

type operationOf struct {
	o    *observer
	name string
	took time.Duration
	done bool
}

func (p *operationOf) Call() func() {
	began := time.Now()
	return func() { p.took += time.Since(began) }
}

func (p *operationOf) Done(result string, err error) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	if p.done {
		panic("an operation was done twice")
	}
	p.done = true
	if err != nil {
		result = "error"
	}
	p.o.ops = append(p.o.ops, p.name+" "+result)
	p.o.took = append(p.o.took, p.took)
}
