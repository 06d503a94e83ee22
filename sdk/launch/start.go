package launch

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/berth-dev/berth/sdk/internal/wire"
	"github.com/berth-dev/berth/sdk/provider"
)

var errStartTimeout = errors.New("the start took too long")

// Start verifies, launches and shakes hands. The error is an [*Error]; no process and no
// file but the verified copy is left then. ctx bounds the start, not the process.
func Start(ctx context.Context, opts Options) (*Process, error) {
	opts, err := opts.checked()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, opts.StartTimeout, errStartTimeout)
	defer cancel()
	if err := CheckRunDir(opts.RunDir); err != nil {
		return nil, opts.named(err)
	}
	exe, err := verify(ctx, opts)
	if err != nil {
		return nil, err
	}
	sockets, remove, err := opts.socketsIn()
	if err != nil {
		return nil, err
	}
	p := newProcess(opts, exe, sockets)
	p.removeSockets = remove
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func newProcess(opts Options, exe executable, sockets string) *Process {
	lineR, lineW := io.Pipe()
	c := &child{
		opts: opts, exe: exe,
		sink:   newSink(opts.Logger.With("plugin", opts.Name)),
		hs:     &handshake{opts: opts, line: lineW},
		exited: make(chan struct{}),
	}
	p := &Process{opts: opts, child: c, done: make(chan struct{}), released: make(chan struct{})}
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: wire.PluginSets(wire.Plugin{}),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
			p.socketDir = socketDir
			env := append(append([]string{}, opts.Env...), cmd.Env...)
			return &pluginRunner{child: c, env: env, line: lineR}, nil
		},
		SkipHostEnv:      true,
		AutoMTLS:         true,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions:  wire.DialOptions(opts.TracerProvider),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: sockets},
		StartTimeout:     opts.StartTimeout + time.Minute, // ours comes first
		Logger:           hclog.NewNullLogger(),
		SyncStdout:       &lineWriter{yield: c.sink.stdout},
		SyncStderr:       &lineWriter{yield: c.sink.stderr},
	})
	return p
}

// connect launches the process and makes the connection. When it fails it leaves nothing.
func (p *Process) connect(ctx context.Context) error {
	connected := make(chan error, 1)
	go func() { connected <- p.shakeHands() }()
	var err error
	select {
	case err = <-connected:
	case <-ctx.Done():
		p.child.kill()
		p.child.hs.line.Close() // go-plugin stops waiting for the line
		select {
		case <-connected:
		case <-time.After(reapTimeout):
			return p.startError(ctx, errors.New("the process can't be killed"))
		}
		err = context.Cause(ctx)
	}
	launched := p.PID() != 0
	if launched {
		go p.watch()
	}
	if err == nil {
		if err = p.Ping(ctx); err == nil {
			return nil
		}
	}
	if !launched {
		os.RemoveAll(p.socketDir) // go-plugin leaves it when there is no process
		p.removeSockets()
		return p.startError(ctx, err)
	}
	if ctx.Err() == nil {
		// It may be ending by itself; its own exit status says more than our signal.
		select {
		case <-p.child.exited:
		case <-time.After(exitNotice):
		case <-ctx.Done():
		}
	}
	p.child.kill()
	select {
	case <-p.released:
	case <-time.After(reapTimeout):
	}
	return p.startError(ctx, err)
}

// shakeHands runs go-plugin's part. It has no context: killing the process ends it.
func (p *Process) shakeHands() error {
	protocol, err := p.client.Client()
	if err != nil {
		return err
	}
	grpcClient, ok := protocol.(*goplugin.GRPCClient)
	if !ok {
		return errors.New("go-plugin answered with no gRPC client")
	}
	raw, err := grpcClient.Dispense(wire.PluginName)
	if err != nil {
		return err
	}
	plugin, ok := raw.(provider.Plugin)
	if !ok {
		return errors.New("go-plugin answered with no provider")
	}
	p.conn, p.plugin = grpcClient.Conn, plugin
	return nil
}

// startError says in our own words what went wrong.
func (p *Process) startError(ctx context.Context, err error) error {
	came, failure := p.child.hs.result()
	e := failure
	switch {
	case e != nil:
	case ctx.Err() != nil:
		e = p.opts.canceled(ctx)
		if e.Reason == StartTimeout && !came {
			e.Message = "it did not shake hands within " + p.opts.StartTimeout.String() + ": it hangs, or is no Berth plugin"
		}
	case p.PID() == 0:
		e = p.opts.notLaunched(err)
	case came:
		e = p.opts.fail(ConnectFailed, err, "it shook hands, and then did not accept the connection")
	default:
		e = p.opts.fail(NotAPlugin, nil, "%s shook no hands: it is no Berth plugin, or failed before sdk.Serve", p.opts.Path)
	}
	e.Stdout, e.Stderr = p.child.hs.printed(), p.child.sink.tail()
	select {
	case <-p.child.exited:
		if exit := p.child.exit(); e.Reason == NotAPlugin && exit.Signal != "killed" {
			exit.Stderr = ""
			e.Err = exit
		}
	default:
	}
	return e
}

// notLaunched is the error when the system refused to execute the copy.
func (o Options) notLaunched(err error) *Error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return o.fail(NotAPlugin, err, "the system can't execute %s: it is no program, or one for another architecture", o.Path)
	case errors.Is(err, syscall.EACCES):
		return o.fail(NotExecutable, err, "the system refuses to execute the copy below %s: is that file system mounted with noexec?", o.CacheDir)
	}
	return o.fail(LaunchFailed, err, "the system refused to start it")
}

func (o Options) named(err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Name, e.Path = o.Name, o.Path
	}
	return err
}
