package supervisor

import (
	"context"
	"errors"
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
