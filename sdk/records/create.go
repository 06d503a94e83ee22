package records

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

const (
	confirmFor = 250 * time.Millisecond // what ConfirmStart looks
	confirmGap = 10 * time.Millisecond
	cleanUpFor = 10 * time.Second // whatever became of the caller

	publishTries = 5

	tailLines = 50
	tailBytes = 32 << 10
)

// Create makes the entry of spec, and starts it.
func (p *Provider) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	const op = "create"
	if !validName(spec.Name) {
		return provider.Created{}, &provider.Error{Class: provider.InvalidArgument, Op: op, ID: spec.SessionID,
			Message: fmt.Sprintf("the name %q can't be that of a directory entry", spec.Name)}
	}
	if what, _ := p.opts.refused(spec.Network, spec.Mounts); what != "" {
		return provider.Created{}, &provider.Error{Class: provider.Unsupported, Op: op, ID: spec.SessionID, Message: what}
	}
	unlock, err := p.turn(ctx, op, spec.Name)
	if err != nil {
		return provider.Created{}, err
	}
	defer unlock()
	identity, err := p.Identity(ctx)
	if err != nil {
		return provider.Created{}, err
	}
	e, err := p.byName(spec.Name)
	if err != nil {
		return provider.Created{}, unavailable(op, spec.SessionID, err)
	}
	if e != nil {
		adopted, err := p.taken(ctx, e, spec)
		if err != nil {
			return provider.Created{}, err
		}
		if adopted != nil {
			return provider.Created{Outcome: provider.OutcomeAdopted, Sandbox: *adopted, Identity: identity}, nil
		}
	}
	s, err := p.make(ctx, spec)
	if err != nil {
		return provider.Created{}, err
	}
	return provider.Created{Outcome: provider.OutcomeCreated, Sandbox: s, Identity: identity}, nil
}

// taken decides what a taken name means: the sandbox that spec asks for, or nil when it did
// not run and was removed.
func (p *Provider) taken(ctx context.Context, e *entry, spec provider.Spec) (*provider.Sandbox, error) {
	conflict := func(format string, args ...any) (*provider.Sandbox, error) {
		return nil, &provider.Error{Class: provider.Conflict, Op: "create", ID: spec.SessionID, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case e.unreadable != "":
		return conflict("the name %s is taken: %s", spec.Name, e.unreadable)
	case e.Owner != spec.Owner:
		return conflict("the name %s is taken by a sandbox of owner %s, not of %s", spec.Name, e.Owner, spec.Owner)
	case e.SessionID != spec.SessionID:
		return conflict("the name %s is taken by a sandbox of session %s, not of %s", spec.Name, e.SessionID, spec.SessionID)
	case e.RequestHash != spec.RequestHash:
		return conflict("the session has a sandbox that was made for another request")
	}
	seen, err := p.runtime.Observe(ctx, e.dir)
	if err != nil {
		return nil, err
	}
	if seen.State == provider.StateRunning {
		s := e.sandbox(seen)
		return &s, nil
	}
	return nil, p.remove(ctx, e)
}

// make makes an entry and starts it. When it fails, nothing is left.
func (p *Provider) make(ctx context.Context, spec provider.Spec) (_ provider.Sandbox, err error) {
	e := &entry{dir: filepath.Join(p.dir, spec.Name), record: record{
		ID: idOf(spec.Name, strings.ToLower(rand.Text()[:12])), Name: spec.Name, Owner: spec.Owner, SessionID: spec.SessionID,
		ChatID: spec.ChatID, AgentID: spec.AgentID, Template: spec.Template, RequestHash: spec.RequestHash,
		MadeAt: time.Now().UTC().Truncate(time.Microsecond), ExpiresAt: spec.ExpiresAt, VolumeHostPath: spec.VolumeHostPath,
	}}
	if err := p.publish(e); err != nil {
		return provider.Sandbox{}, &provider.Error{Class: provider.Internal, Op: "create", ID: spec.SessionID,
			Message: "the sandbox's record can't be written", Err: err}
	}
	made := false
	defer func() {
		if made { // else also when the runtime panics
			return
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpFor)
		defer cancel()
		if left := p.remove(bounded, e); left != nil {
			err = errors.Join(err, fmt.Errorf("and what was made is not gone: %w", left))
		}
	}()
	err = p.runtime.Start(ctx, e.dir, spec)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return provider.Sandbox{}, e.failed(provider.ClassOf(err), "it did not start", err)
	}
	seen, err := p.holds(ctx, e, spec.ConfirmStart)
	if err != nil {
		return provider.Sandbox{}, err
	}
	made = true
	return e.sandbox(seen), nil
}

// publish writes an entry aside, and puts it in its place by one rename. A plugin that is
// just started may sweep it away before it is claimed; then it is made again.
func (p *Provider) publish(e *entry) error {
	text, err := json.Marshal(e.record)
	if err != nil {
		return err
	}
	for range publishTries {
		if err = p.tryPublish(e, append(text, '\n')); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
	}
	if err != nil {
		return err
	}
	return syncDir(p.dir)
}

func (p *Provider) tryPublish(e *entry, text []byte) error {
	aside := filepath.Join(p.dir, newPrefix+e.ID)
	if err := os.Mkdir(aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	release, err := claim(aside)
	if err != nil {
		return err
	}
	err = write(filepath.Join(aside, recordFile), text)
	if err == nil {
		err = syncDir(aside)
	}
	if err == nil {
		err = os.Rename(aside, e.dir) // refused where there is an entry: it is not empty
	}
	if err != nil {
		err = errors.Join(err, os.RemoveAll(aside))
	}
	return errors.Join(err, release())
}

// holds looks whether a started sandbox runs; for a while, where nobody will probe it.
func (p *Provider) holds(ctx context.Context, e *entry, confirm bool) (Observed, error) {
	until := time.Now()
	if confirm {
		until = until.Add(confirmFor)
	}
	tick := time.NewTicker(confirmGap)
	defer tick.Stop()
	for {
		seen, err := p.runtime.Observe(ctx, e.dir)
		switch {
		case err != nil:
			return seen, e.failed(provider.ClassOf(err), "it can't be observed", err)
		case seen.State != provider.StateRunning && seen.Exit != nil:
			return seen, e.failed(provider.Internal, fmt.Sprintf("it ended at once with code %d", seen.Exit.Code), nil)
		case seen.State != provider.StateRunning:
			return seen, e.failed(provider.Internal, fmt.Sprintf("it does not run: it is %s", seen.State), nil)
		case !time.Now().Before(until):
			return seen, nil
		}
		select {
		case <-ctx.Done():
			return seen, e.failed(provider.Canceled, "", ctx.Err())
		case <-tick.C:
		}
	}
}

// failed is the error of a create, with the last lines that the sandbox printed.
func (e *entry) failed(class provider.Class, message string, cause error) error {
	return &provider.Error{Class: class, Op: "create", ID: e.SessionID, Code: "sandbox_start_failed",
		Message: message, Err: cause, LogTail: tail(filepath.Join(e.dir, logFile))}
}

// tail is the end of a log: whole lines, 50 at most. What can't be read is left out.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	text := make([]byte, min(info.Size(), tailBytes))
	n, _ := f.ReadAt(text, info.Size()-int64(len(text)))
	lines := strings.SplitAfter(strings.TrimSuffix(string(text[:n]), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "")
}
