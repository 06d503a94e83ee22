package docker

import (
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/sdk"
)

// The values of Config.Pull.
const (
	pullNever   = "never"
	pullMissing = "missing"
	pullAlways  = "always"
)

// The values of Config.Allow.
const (
	allowHostNetwork  = "host_network"
	allowDockerSocket = "docker_socket"
)

// The log caps of a container without a log block.
const (
	defaultLogSize  = 10 << 20
	defaultLogFiles = 3
)

// Config is the provider's block.
type Config struct {
	Pull   string    `berth:"pull,optional" default:"missing" oneof:"never,missing,always" doc:"When an image is pulled: never, when it is missing, or always: each create asks the registry for the newest and fails when it is away."`
	CapAdd []string  `berth:"cap_add,optional" doc:"Linux capabilities that sandboxes keep, such as NET_BIND_SERVICE. All others are dropped."`
	Allow  []string  `berth:"allow,optional" oneof:"host_network,docker_socket" doc:"What is refused unless it is named here: the host's network, mounts that reach the socket of Docker or containerd."`
	Log    LogConfig `berth:"log,optional" doc:"How much of a sandbox's output the daemon keeps."`
}

// LogConfig caps what the daemon keeps of a sandbox's output.
type LogConfig struct {
	MaxSize  sdk.Bytes `berth:"max_size,optional" default:"10MiB" min:"4KiB" doc:"Size of one log file."`
	MaxFiles int64     `berth:"max_file,optional" default:"3" min:"1" max:"100" doc:"How many log files there are; the oldest is dropped."`
}

// SandboxConfig is the config block of a template.
type SandboxConfig struct {
	Runtime string `berth:"runtime,optional" doc:"The OCI runtime, such as runc or runsc. It must exist at the daemon. Default: the daemon's."`
	User    string `berth:"user,optional" doc:"User of the sandbox's process: uid, uid:gid or a name in the image. Default: the image's."`
}

// Options are what a provider uses of its process.
type Options struct {
	Logger         *slog.Logger         // nil: nothing is logged
	TracerProvider trace.TracerProvider // nil: no spans
}

// withDefaults fills what a caller in Go left empty. Values that came through the
// schema are complete already.
func (c Config) withDefaults() Config {
	if c.Pull == "" {
		c.Pull = pullMissing
	}
	if c.Log.MaxSize == 0 {
		c.Log.MaxSize = defaultLogSize
	}
	if c.Log.MaxFiles == 0 {
		c.Log.MaxFiles = defaultLogFiles
	}
	return c
}
