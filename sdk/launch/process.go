package launch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/berth-dev/berth/sdk/provider"
)

// Process is a plugin process that shook hands. Its methods may be called concurrently.
type Process struct {
	opts   Options
	child  *child
	client *goplugin.Client
	conn   *grpc.ClientConn
	plugin provider.Plugin

	socketDir     string // made and removed by go-plugin
	removeSockets func() // removes the directory around it, when that is this process's own

	killed   atomic.Bool // by Kill: what politeness is left is skipped
	closing  sync.Once
	done     chan struct{} // closed when the process has ended and its last words are in
	released chan struct{} // closed when everything that belonged to it is gone
	exit     *ExitError    // after done
}

// Plugin is the client of the process. Its calls fail with Unavailable once the process
// has ended.
func (p *Process) Plugin() provider.Plugin { return p.plugin }

// PID is the process id; it is also the id of its group.
func (p *Process) PID() int {
	p.child.mu.Lock()
	defer p.child.mu.Unlock()
	return p.child.pid
}

// SHA256 is the digest of the binary that runs, in hexadecimal.
func (p *Process) SHA256() string { return p.child.exe.sha256 }

// Ping asks whether the process still serves. It touches no code of the provider. It
// returns when ctx is done, however the process hangs.
func (p *Process) Ping(ctx context.Context) error {
	res, err := grpc_health_v1.NewHealthClient(p.conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	if err != nil {
		return fmt.Errorf("plugin %q: ping: %w", p.opts.Name, err)
	}
	if s := res.GetStatus(); s != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("plugin %q: ping: it answers %s", p.opts.Name, s)
	}
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the process ended, as an [*ExitError], and is nil while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.exit
	default:
		return nil
	}
}

// watch waits for the end of the process and clears up after it. It runs from the launch
// on, and ends by itself.
func (p *Process) watch() {
	defer close(p.released)
	p.child.finish()
	p.exit = p.child.exit()
	close(p.done)
	// The process is gone, so nothing in here waits for it: go-plugin closes the
	// connection and removes the socket's directory.
	p.client.Kill()
	p.removeSockets()
}
