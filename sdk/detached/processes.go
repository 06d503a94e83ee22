package detached

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/records"
)

const (
	lookGap   = time.Millisecond // between looks whether it has begun, or ended
	forceEach = 100 * time.Millisecond
)

// Processes has the two methods of a [records.Runtime] that are the same for all programs.
type Processes struct{}

// Observe asks the kernel whether the lock is held.
func (Processes) Observe(_ context.Context, dir string) (records.Observed, error) {
	lock, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return records.Observed{State: provider.StateCreated}, nil
	}
	if err != nil {
		return records.Observed{}, err
	}
	defer lock.Close()
	// Shared, so that two who look do not see each other; and given back at once.
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		seen := records.Observed{State: provider.StateRunning}
		if port, ok := number(dir, portFile); ok {
			seen.Endpoint = &provider.Endpoint{IP: "127.0.0.1", Port: port}
		}
		return seen, nil
	case err != nil:
		return records.Observed{}, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	_, begun := number(dir, groupFile)
	code, told := number(dir, exitFile)
	switch {
	case !begun && !told:
		return records.Observed{State: provider.StateCreated}, nil
	case !told:
		code = 128 + int(syscall.SIGKILL) // the shell was killed with it
	}
	return records.Observed{State: provider.StateExited, Exit: &provider.Exit{Code: code}}, nil
}

// End sends SIGTERM to the process group, after grace SIGKILL, and returns when nobody holds
// the lock. It never signals a group after the lock was free.
func (p Processes) End(ctx context.Context, dir string, grace time.Duration) error {
	begun, polite, forced := time.Now(), false, time.Time{}
	tick := time.NewTicker(lookGap)
	defer tick.Stop()
	for {
		seen, err := p.Observe(ctx, dir)
		if err != nil || seen.State != provider.StateRunning {
			return err
		}
		group, _ := number(dir, groupFile) // the shell may be about to write it
		switch {
		case group <= 1:
		case time.Since(begun) >= grace && time.Since(forced) >= forceEach:
			_ = syscall.Kill(-group, syscall.SIGKILL) // it may have ended just now
			forced = time.Now()
		case time.Since(begun) < grace && !polite:
			_ = syscall.Kill(-group, syscall.SIGTERM)
			polite = true
		}
		select {
		case <-ctx.Done():
			return &provider.Error{Class: provider.Canceled, Op: "end", Message: "its processes have not all ended", Err: ctx.Err()}
		case <-tick.C:
		}
	}
}

// number reads a file with one number in it, which is written as a whole line.
func number(dir, name string) (n int, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || !strings.HasSuffix(string(text), "\n") {
		return 0, false
	}
	n, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return n, err == nil
}
