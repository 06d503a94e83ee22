package wire

import (
	"context"

	"github.com/berth-dev/berth/sdk/provider"
)

// echo is a plugin that remembers what it was asked, and answers with filled values.
type echo struct {
	f       *filler
	outcome provider.Outcome
	broken  error // of Info

	request, answer, yielded any
	failure                  *provider.Error
}

// says makes an answer, and remembers it with the question.
func says[T any](e *echo, req any) T {
	v := fill[T](e.f)
	e.request, e.answer = req, v
	return v
}

func (e *echo) Info(context.Context) (provider.Info, error) {
	if e.broken != nil {
		return provider.Info{}, e.broken
	}
	return says[provider.Info](e, nil), nil
}

func (e *echo) Schemas(context.Context) (provider.Schemas, error) {
	return says[provider.Schemas](e, nil), nil
}

func (e *echo) Validate(_ context.Context, req provider.ValidateRequest) (provider.Diagnostics, error) {
	return says[provider.Diagnostics](e, req), nil
}

func (e *echo) Configure(_ context.Context, req provider.ConfigureRequest) (provider.Configured, error) {
	return says[provider.Configured](e, req), nil
}

func (e *echo) Provider() provider.Provider { return e }

func (e *echo) Drain(context.Context) error { return nil }

func (e *echo) Prepare(_ context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return says[provider.Prepared](e, req), nil
}

func (e *echo) Create(_ context.Context, spec provider.Spec) (provider.Created, error) {
	c := says[provider.Created](e, spec)
	c.Outcome = e.outcome
	e.answer = c
	return c, nil
}

func (e *echo) Get(_ context.Context, ref provider.Ref) (provider.Sandbox, error) {
	return says[provider.Sandbox](e, ref), nil
}

func (e *echo) List(_ context.Context, yield func(provider.Sandbox) error) (provider.ListSummary, error) {
	all := fill[[]provider.Sandbox](e.f)
	e.yielded = all
	for _, s := range all {
		if err := yield(s); err != nil {
			return provider.ListSummary{}, err
		}
	}
	return says[provider.ListSummary](e, nil), nil
}

func (e *echo) Stop(_ context.Context, req provider.StopRequest) (provider.Stopped, error) {
	s := says[provider.Stopped](e, req)
	s.Outcome = e.outcome
	e.answer = s
	return s, nil
}

func (e *echo) Delete(_ context.Context, req provider.DeleteRequest) (provider.Deleted, error) {
	d := says[provider.Deleted](e, req)
	d.Outcome = e.outcome
	e.answer = d
	return d, nil
}

func (e *echo) Health(context.Context) (provider.Health, error) {
	return says[provider.Health](e, nil), nil
}

func (e *echo) Identity(context.Context) (string, error) { return says[string](e, nil), nil }

func (e *echo) Logs(_ context.Context, req provider.LogsRequest, yield func(provider.LogChunk) error) error {
	all := fill[[]provider.LogChunk](e.f)
	e.request, e.yielded = req, all
	for _, c := range all {
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

// Events fails at its end, with every field of an error filled.
func (e *echo) Events(_ context.Context, ready func(), yield func(provider.Event) error) error {
	ready()
	all := fill[[]provider.Event](e.f)
	e.yielded = all
	for _, ev := range all {
		if err := yield(ev); err != nil {
			return err
		}
	}
	e.f.seen["Error"] = true
	text := func() string { return fill[string](e.f) }
	cause := &provider.Error{Class: provider.Conflict, Op: text(), ID: text(), Code: text(), Message: text(), LogTail: text()}
	e.failure = &provider.Error{Class: provider.Exhausted, Op: text(), ID: text(), Code: text(), Message: text(), LogTail: text(), Err: cause}
	return e.failure
}
