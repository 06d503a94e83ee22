package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix begins the name of a copy that is being written.
const tempPrefix = ".new-"

// PruneCache removes what is no copy of one of the binaries at keep from the cache: the
// copies of former versions, and half written ones. A binary that can't be read keeps
// nothing. Call it while nothing is launched from that cache: at the start of a host,
// under the lock of its state directory. Processes that still run a removed copy go on.
func PruneCache(ctx context.Context, cacheDir string, keep []string) error {
	entries, err := os.ReadDir(cacheDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("launch: prune the plugin cache: %w", err)
	}
	kept := map[string]bool{}
	for _, path := range keep {
		src, err := openBinary(Options{Path: path})
		if err != nil {
			continue
		}
		sum, err := digest(ctx, src, io.Discard)
		src.Close()
		if err == nil {
			kept[sum] = true
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var errs []error
	for _, e := range entries {
		if ours := strings.HasPrefix(e.Name(), tempPrefix) || isDigest(e.Name()); ours && !kept[e.Name()] {
			errs = append(errs, os.RemoveAll(filepath.Join(cacheDir, e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("launch: prune the plugin cache: %w", err)
	}
	return nil
}

func isDigest(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}
