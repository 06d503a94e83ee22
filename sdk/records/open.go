package records

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/berth-dev/berth/sdk/keylock"
	"github.com/berth-dev/berth/sdk/provider"
)

const (
	identityFile = "identity"
	newPrefix    = ".new-"
	oldPrefix    = ".old-"
)

// Provider is a provider on a directory of records.
type Provider struct {
	dir     string
	runtime Runtime
	opts    Options
	names   keylock.Lock

	mu    sync.Mutex
	found bool // the directory was there, with its identity: from then on it is never made
}

var _ provider.Provider = (*Provider)(nil)

// Open makes a provider on dir, an absolute path. The directory is made when it is not
// there and its parent is. It succeeds also while the directory can't be had: then every
// verb is Unavailable until it can. The error is InvalidArgument when dir is none that
// could be used.
func Open(dir string, runtime Runtime, opts Options) (*Provider, error) {
	if !filepath.IsAbs(dir) {
		return nil, invalid(dir, "the directory of the sandboxes' records is no absolute path: name one that starts with /")
	}
	p := &Provider{dir: dir, runtime: runtime, opts: opts}
	if err := p.find(); provider.ClassOf(err) == provider.InvalidArgument {
		return nil, err
	}
	return p, nil
}

func invalid(dir, format string, args ...any) error {
	return &provider.Error{Class: provider.InvalidArgument, Op: "open", ID: dir, Message: fmt.Sprintf(format, args...)}
}

// find makes sure, once, that the directory is there and fit.
func (p *Provider) find() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found {
		return nil
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(p.dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return invalid(p.dir, "it is no directory (%s)", info.Mode())
	case info.Mode().Perm()&0o077 != 0:
		return invalid(p.dir, "it is open to others (mode %s): chmod it to 0700", info.Mode().Perm())
	}
	if err := errors.Join(p.identify(), p.sweep()); err != nil {
		return err
	}
	p.found = true
	return nil
}

// identify makes the identity of a new directory. Of two that do so at a time one wins.
func (p *Provider) identify() error {
	path := filepath.Join(p.dir, identityFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp := filepath.Join(p.dir, newPrefix+rand.Text())
	if err := write(tmp, []byte(rand.Text()+"\n")); err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(p.dir)
}

// sweep removes what a plugin that was killed was making or removing. Whoever makes an entry
// holds a lock on it, so what another plugin is making just now is left alone; and two may
// remove the same thing.
func (p *Provider) sweep() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(p.dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), oldPrefix), strings.HasPrefix(e.Name(), newPrefix) && abandoned(path):
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

// claim holds a lock on an entry that is being made, until release is called.
func claim(path string) (release func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// abandoned reports whether nobody is making an entry.
func abandoned(path string) bool {
	release, err := claim(path)
	if err != nil {
		return false
	}
	_ = release()
	return true
}

// Identity is read from the directory each time: another one is another backend.
func (p *Provider) Identity(context.Context) (string, error) {
	if err := p.find(); err != nil {
		return "", unavailable("identity", "", err)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, identityFile))
	identity := strings.TrimSpace(string(text))
	if err == nil && identity == "" {
		err = errors.New("the identity is empty")
	}
	if err != nil {
		return "", unavailable("identity", "", err)
	}
	return identity, nil
}

// Health is that of the directory.
func (p *Provider) Health(ctx context.Context) (provider.Health, error) {
	identity, err := p.Identity(ctx)
	if err != nil {
		return provider.Health{Message: err.Error()}, nil
	}
	return provider.Health{Available: true, Version: p.opts.Version, Identity: identity, Limitations: p.opts.Limitations}, nil
}

// Prepare is the runtime's.
func (p *Provider) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	return p.runtime.Prepare(ctx, req)
}

func unavailable(op, id string, err error) error {
	return &provider.Error{Class: provider.Unavailable, Op: op, ID: id, Message: "the sandboxes' records can't be read", Err: err}
}
