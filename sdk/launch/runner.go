package launch

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin/runner"
)

// pluginRunner shows a child to go-plugin. go-plugin sees the handshake line and the end
// of the process, and nothing else of its output: it would wait for the pipes, and trust
// the types in log lines.
type pluginRunner struct {
	*child
	env  []string // with go-plugin's own variables
	line *io.PipeReader
}

var _ runner.Runner = (*pluginRunner)(nil)

func (r *pluginRunner) Start(ctx context.Context) error { return r.start(ctx, r.env) }

// Wait returns when the process has ended, whoever still holds its pipes.
func (r *pluginRunner) Wait(context.Context) error {
	<-r.exited
	return nil
}

// Kill kills the group and returns at once.
func (r *pluginRunner) Kill(context.Context) error {
	r.kill()
	return nil
}

func (r *pluginRunner) ID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pid == 0 {
		return ""
	}
	return strconv.Itoa(r.pid)
}

func (r *pluginRunner) Name() string                    { return r.opts.Name }
func (r *pluginRunner) Stdout() io.ReadCloser           { return r.line }
func (r *pluginRunner) Stderr() io.ReadCloser           { return io.NopCloser(strings.NewReader("")) }
func (r *pluginRunner) Diagnose(context.Context) string { return "" }

func (r *pluginRunner) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

func (r *pluginRunner) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
