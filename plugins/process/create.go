//go:build linux

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/crash"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/spans"
)

// Create makes the sandbox of spec and starts it; see [provider.Provider].
func (p *Provider) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	ctx, span := spans.Start(ctx, p.tracer, spanCreate,
		spans.ChatID.String(spec.ChatID), spans.SessionID.String(spec.SessionID))
	created, err := p.create(ctx, spec)
	if err != nil {
		err := failure(ctx, "create", spec.SessionID, codeStart, "sandbox of chat "+spec.ChatID+" did not start", err)
		p.log.WarnContext(ctx, "create failed", "code", codeStart, "class", string(err.Class),
			"session_id", spec.SessionID, "chat_id", spec.ChatID, "error", err)
		spans.End(span, "", err)
		return provider.Created{}, err
	}
	span.SetAttributes(attrSandboxID.String(created.Sandbox.ID))
	spans.End(span, string(provider.OutcomeCreated), nil) // adopted counts as created
	return created, nil
}

func (p *Provider) create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	var none provider.Created
	plan, err := p.plan(ctx, spec)
	if err != nil {
		return none, err
	}
	identity, err := p.dir.identity()
	if err != nil {
		return none, err
	}
	defer plan.close()
	unlock, err := p.names.Lock(ctx, spec.Name)
	if err != nil {
		return none, err
	}
	defer unlock()
	if err := crash.Point("process.create.planned"); err != nil {
		return none, err
	}
	for remade := false; ; {
		if err := ctx.Err(); err != nil {
			return none, err
		}
		err := p.claim(plan)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return none, err
		}
		adopted, err := p.settle(ctx, spec, &remade)
		if err != nil {
			return none, err
		}
		if adopted != nil {
			if err := p.dir.still(identity); err != nil {
				return none, err
			}
			return provider.Created{Outcome: provider.OutcomeAdopted, Sandbox: *adopted, Identity: identity}, nil
		}
	}
	if err = crash.Point("process.create.named"); err == nil {
		err = p.launch(ctx, plan)
	}
	if err == nil {
		err = crash.Point("process.create.started")
	}
	if err == nil { // before the sandbox is found there: it was made by a path
		err = p.dir.still(identity)
	}
	var b *box
	if err == nil {
		b, err = look(plan.order.Dir)
	}
	if err == nil && b.rec.ID != plan.order.ID {
		err = errors.New("it was removed while it started")
	}
	if err == nil {
		err = p.confirm(ctx, spec, b)
	}
	if err == nil {
		err = crash.Point("process.create.observed")
	}
	if err != nil {
		return none, p.undo(ctx, plan, err)
	}
	if plan.order.Privileged { // others open the host's trees in the init, which must not be older than the create
		p.ahead.refill(plan.order.Blank)
	}
	p.watched.tell(provider.Event{SandboxID: b.rec.ID, SessionID: b.rec.SessionID, Kind: provider.EventStarted, At: time.Now().UTC()})
	return provider.Created{Outcome: provider.OutcomeCreated, Sandbox: b.sandbox(false), Identity: identity}, nil
}

// claim takes the sandbox's name: a directory that is complete but for its name is renamed
// to it, which the file system does for one caller alone. fs.ErrExist: it is taken. From
// then on the sandbox is listed, and its lock is held. What it is is on disk by then. That it
// has its name need not be: a machine that forgets it has ended the sandbox as well.
func (p *Provider) claim(plan *plan) error {
	for try := 1; ; try++ {
		err := p.claimOnce(plan)
		if try == claimTries || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		// Another plugin has swept what it took for left behind.
	}
}

const claimTries = 10

func (p *Provider) claimOnce(plan *plan) error {
	if plan.lock != nil { // of a try before
		plan.lock.Close()
		plan.lock = nil
	}
	staging := filepath.Join(p.dir.sandboxes, prefixNew+randomHex(8))
	if err := os.Mkdir(staging, 0o700); err != nil {
		return err
	}
	err := p.stage(plan, staging)
	if err == nil {
		err = crash.Point("process.create.recorded")
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, staging, unix.AT_FDCWD, plan.order.Dir, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(staging))
	}
	return nil
}

// stage fills a directory: the lock, held; then the record, on disk.
func (p *Provider) stage(plan *plan, dir string) (err error) {
	plan.lock, err = os.OpenFile(filepath.Join(dir, stage.FileLock), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := flock(plan.lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	b, err := json.Marshal(plan.record)
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(dir, stage.FileRecord), b)
}

// confirm checks that what has been started is still there.
func (p *Provider) confirm(ctx context.Context, spec provider.Spec, b *box) error {
	end := time.Now()
	if spec.ConfirmStart {
		end = end.Add(startLook)
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		now, err := look(b.dir)
		if err != nil {
			return err
		}
		*b = *now
		if b.state() != provider.StateRunning {
			break
		}
		if !time.Now().Before(end) {
			return ctx.Err()
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	why := "its process ended at once"
	if e := b.ended(); e != nil {
		why = fmt.Sprintf("its process exited at once with code %d", e.Code)
		if e.OOMKilled {
			why += ", killed for memory"
		}
	}
	return errors.New(why)
}

// undo removes what a failed create has made, and returns the create's error with the
// sandbox's last output in it. It does not use the caller's time.
func (p *Provider) undo(ctx context.Context, plan *plan, cause error) error {
	class := classOf(ctx, cause)
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoBound)
	defer cancel()
	if err := crash.Point("process.undo.removing"); err != nil {
		return err
	}
	tail := p.logTail(plan.order.Dir, plan.order.LogFiles)
	out := &provider.Error{Class: class, LogTail: tail, Err: cause}
	if tail != "" {
		out.Message = "its last output was: " + tail
	}
	if plan.lock != nil {
		plan.lock.Close() // the shim has its own, or there is none
		plan.lock = nil
	}
	err := p.remove(own, plan.order.Dir, plan.order.ID)
	if err != nil && !errors.Is(err, provider.NotFound) {
		out.Class = provider.Unavailable // what is left behind is not known
		out.Message = fmt.Sprintf("sandbox %s could not be removed (%v)", plan.order.ID, err)
	}
	return out
}
