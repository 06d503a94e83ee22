package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/berth-dev/berth/sdk/provider"
)

// Value "launches" a plugin that is linked into the host. It has one life: it never dies,
// always answers pings, and is drained at the end.
func Value(plugin provider.Plugin) Launcher { return value{plugin} }

type value struct{ plugin provider.Plugin }

func (v value) Launch(context.Context) (Instance, error) {
	return &linked{plugin: v.plugin, done: make(chan struct{})}, nil
}

// linked is a life of a plugin in this process.
type linked struct {
	plugin provider.Plugin
	once   sync.Once
	done   chan struct{}
}

func (l *linked) Plugin() provider.Plugin    { return l.plugin }
func (l *linked) Ping(context.Context) error { return nil }
func (l *linked) Done() <-chan struct{}      { return l.done }
func (l *linked) Err() error                 { return errors.New("it was given up") }
func (l *linked) Kill()                      { l.once.Do(func() { close(l.done) }) }

// Close drains the plugin, unless it was killed: then it may be tried again.
func (l *linked) Close(ctx context.Context) error {
	select {
	case <-l.done:
		return nil
	default:
	}
	err := l.plugin.Drain(ctx)
	l.Kill()
	return err
}

// judge checks other settings of a plugin that is linked in, without configuring it, and
// returns the config that they come to. It has one life, so the config must be the same.
func (s *Supervisor) judge(ctx context.Context, plugin provider.Plugin, settings Settings) ([]byte, error) {
	if err := s.awaitStart(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	schemas, err := plugin.Schemas(ctx)
	if err != nil {
		return nil, err
	}
	req, err := settings.Bind(schemas)
	if err != nil {
		return nil, &RefusedError{err}
	}
	found, err := plugin.Validate(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := settings.Explain(found); err != nil {
		return nil, &RefusedError{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen != nil && !bytes.Equal(s.gen.config, req.Config) {
		return nil, &RefusedError{s.oneLife()}
	}
	return req.Config, nil
}

func (s *Supervisor) oneLife() error {
	return fmt.Errorf("provider %q is linked into this program, and its config changes with a restart alone", s.opts.Name)
}

// awaitStart returns when no plugin is about to be configured, or ctx is done.
func (s *Supervisor) awaitStart(ctx context.Context) error {
	for {
		s.mu.Lock()
		starts, changed := s.gen == nil && s.shown != nil && s.shown.dead() == nil, s.changed
		s.mu.Unlock()
		if !starts {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fits compares what a linked plugin was configured with while other settings were taken
// over with those. The error is an errRefused.
func (s *Supervisor) fits(g *generation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, linked := s.using.launcher.(value); !linked || g.of == s.changes {
		return nil
	}
	g.of = s.changes
	if !bytes.Equal(g.config, s.linked) {
		return errRefused{s.oneLife()}
	}
	return nil
}
