package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/berth-dev/berth/sdk/launch"
)

// Binary is a real plugin binary, which is launched as a host does it. The path is
// absolute. Of opts it takes what is about a binary, and the bounds.
func Binary(path string, opts Options) Subject {
	opts = opts.withDefaults()
	s := Subject{kind: binary, path: path, place: &place{log: &logbook{}}}
	s.open = func(ctx context.Context) (*generation, error) {
		o, err := s.launchOptions(opts)
		if err != nil {
			return nil, err
		}
		p, err := launch.Start(ctx, o)
		if err != nil {
			return nil, err
		}
		return &generation{plugin: p.Plugin(), process: p, end: func(ctx context.Context) error { return end(ctx, p) }}, nil
	}
	return s
}

// end closes the process politely, and tells when it had to be killed.
func end(ctx context.Context, p *launch.Process) error {
	killed := p.Err() != nil // by a check, or by itself
	if err := p.Close(ctx); err != nil {
		return err
	}
	var exit *launch.ExitError
	if !killed && errors.As(p.Err(), &exit) && (exit.Code != 0 || exit.Signal != "") {
		return fmt.Errorf("it was drained and told to end, and then: %w", exit)
	}
	return nil
}

func (s Subject) launchOptions(opts Options) (launch.Options, error) {
	dir, run, err := s.place.make()
	if err != nil {
		return launch.Options{}, err
	}
	env := opts.Env
	if env == nil {
		env = launch.Environment(os.Environ(), nil)
	}
	return launch.Options{
		Name: filepath.Base(s.path), Path: s.path, Args: opts.Args, Env: env,
		CacheDir: filepath.Join(dir, "plugins"), RunDir: run, Logger: s.place.log.logger(),
		StartTimeout: opts.Timeout, DrainTimeout: opts.Timeout, TermTimeout: opts.Timeout,
	}, nil
}

// place is where the launched copy and the sockets are.
type place struct {
	log *logbook

	mu  sync.Mutex
	dir string
}

func (p *place) make() (dir, run string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir == "" {
		if p.dir, err = os.MkdirTemp("", "berth-"); err != nil {
			return "", "", err
		}
		if run, err = launch.PrepareRunDir(p.dir); err != nil {
			return "", "", err
		}
	}
	return p.dir, filepath.Join(p.dir, "run"), nil
}

// remove is called when no process is left.
func (p *place) remove() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	dir := p.dir
	p.dir = ""
	if dir == "" {
		return nil
	}
	return os.RemoveAll(dir)
}
