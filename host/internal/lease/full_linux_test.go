package lease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

func init() {
	children["full"] = fullDisk
	children["readonly"] = func(path string) error {
		_, err := Open(context.Background(), path, Options{})
		if !errors.Is(err, provider.Unavailable) || !strings.Contains(err.Error(), "permission denied") {
			return fmt.Errorf("opening gave %w", err)
		}
		return nil
	}
}

// fullDisk runs in a mount namespace of its own, where it fills a small file system.
func fullDisk(dir string) error {
	ctx := context.Background()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("berth", dir, "tmpfs", 0, "size=512k"); err != nil {
		return err
	}
	path := filepath.Join(dir, "leases.db")
	s, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	acked := map[string]bool{}
	fillUp := func() error {
		for i := len(acked); i < 10_000; i++ {
			id := fmt.Sprintf("session-%05d", i)
			err := s.Put(ctx, record(id))
			if err == nil {
				acked[id] = true
				continue
			}
			if !errors.Is(err, provider.Unavailable) || !errors.Is(err, syscall.ENOSPC) {
				return fmt.Errorf("a put on a full disk gave %w", err)
			}
			return nil
		}
		return errors.New("the disk was never full")
	}
	ballast := filepath.Join(dir, "ballast")
	for range 3 {
		if err := os.WriteFile(ballast, make([]byte, 128<<10), 0o600); err != nil {
			return err
		}
		if err := fillUp(); err != nil {
			return err
		}
		if recs, err := s.All(ctx); err != nil || len(recs) != len(acked) {
			return fmt.Errorf("%d records of %d: %w", len(recs), len(acked), err)
		}
		// Room again: the same store goes on, without a restart.
		if err := os.Remove(ballast); err != nil {
			return err
		}
		if err := s.Put(ctx, record("again")); err != nil {
			return fmt.Errorf("with room again: %w", err)
		}
		acked["again"] = true
		if err := s.Delete(ctx, "again"); err != nil {
			return err
		}
		delete(acked, "again")
		// And deleted records make room for others.
		acked = map[string]bool{}
		recs, err := s.All(ctx)
		if err != nil {
			return err
		}
		for _, r := range recs {
			if err := s.Delete(ctx, r.SessionID); err != nil {
				return err
			}
		}
	}
	if err := s.Put(ctx, record("last")); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(ctx, path, Options{}); err != nil {
		return err
	}
	if s.Damaged() != "" {
		return fmt.Errorf("a full disk has damaged the file: %s", s.Damaged())
	}
	recs, err := s.All(ctx)
	if err != nil || len(recs) != 1 || recs[0].SessionID != "last" {
		return fmt.Errorf("%d records: %w", len(recs), err)
	}
	return s.Close()
}

func TestAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	cmd := childCommand(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), "operation not permitted") {
		t.Skip("this machine does not let root mount")
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAReadOnlyDirectory(t *testing.T) {
	dir, err := os.MkdirTemp("", "berth-lease-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	cmd := childCommand(t, "readonly", filepath.Join(dir, "leases.db"))
	if os.Getuid() == 0 { // whom no mode stops
		exe := filepath.Join(dir, "test")
		if content, err := os.ReadFile(cmd.Path); err != nil {
			t.Fatal(err)
		} else if err := os.WriteFile(exe, content, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.Path = exe
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
