package providertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

// Options tell the suite what it can't know of a provider; see [suite.Options].
type Options = suite.Options

// A test binary is started again to be a host that is killed.
func init() { suite.ActAsHost() }

// Run puts a plugin in this process to the suite, called directly (bare) and over gRPC on a
// unix socket (wire). Each call of open returns a new generation of it, not configured yet;
// all of them are on the same backend. A plugin that was made by sdk.Define is one.
func Run(t *testing.T, open func() provider.Plugin, opts Options) {
	t.Helper()
	t.Run("bare", func(t *testing.T) { suite.Check(wrapped{t}, suite.Bare(open), opts) })
	t.Run("wire", func(t *testing.T) { suite.Check(wrapped{t}, suite.Wire(open), opts) })
}

// Binary puts a plugin binary to the suite, launched as a host does it. A path that is not
// absolute is taken from the directory of the test.
func Binary(t *testing.T, path string, opts Options) {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if opts.Host == nil {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		opts.Host = func() *exec.Cmd { return exec.Command(self) }
	}
	t.Run("binary", func(t *testing.T) { suite.Check(wrapped{t}, suite.Binary(path, opts), opts) })
}

// wrapped makes a suite.T of a test.
type wrapped struct{ *testing.T }

func (w wrapped) Run(name string, f func(suite.T)) bool {
	w.Helper()
	return w.T.Run(name, func(t *testing.T) { f(wrapped{t}) })
}
