package process

import (
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/berth-dev/berth/sdk"
)

// The levels of isolation that a template may demand.
const (
	// isolationStandard wants namespaces, a fresh root, no capabilities, no_new_privs and
	// the seccomp filter. Landlock and limits on the whole sandbox are used where they
	// can be had.
	isolationStandard = "standard"

	// isolationFull wants all of that, Landlock, and memory, CPU and pids limited for the
	// sandbox as a whole.
	isolationFull = "full"
)

// allowDockerSocket is the value of Config.Allow that permits mounts, roots and images that
// reach the socket of Docker or containerd.
const allowDockerSocket = "docker_socket"

// networkNone is the one network that there is: of the sandbox's own, with nothing in it.
const networkNone = "none"

// The values of settings that a caller in Go left empty.
const (
	defaultLogSize  = 10 << 20
	defaultLogFiles = 3
	defaultTmpSize  = 64 << 20
	defaultCgroup   = "berth"
	defaultUser     = "65534:65534"
)

// Config is the provider's block.
type Config struct {
	StateDir string    `berth:"state_dir,optional" doc:"Where sandboxes are recorded and their logs kept, mode 0700. Default: /var/lib/berth-process for root, else .local/state/berth-process under HOME."`
	Root     []string  `berth:"root,optional" doc:"What sandboxes without an image see of this machine, read-only: absolute paths, which must exist. Default: /usr, /bin, /sbin, /lib*, and of /etc what the dynamic linker, TLS and the time zone need."`
	Cgroup   string    `berth:"cgroup,optional" default:"berth" pattern:"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$" doc:"The cgroup under which each sandbox has its own, relative to /sys/fs/cgroup, and on version 1 to each controller there. What is above it must exist."`
	Allow    []string  `berth:"allow,optional" oneof:"docker_socket" doc:"What is refused unless it is named here: mounts, a root and images that reach the socket of Docker or containerd."`
	Log      LogConfig `berth:"log,optional" doc:"How much of a sandbox's output is kept."`
}

// LogConfig caps what is kept of a sandbox's output.
type LogConfig struct {
	MaxSize  sdk.Bytes `berth:"max_size,optional" default:"10MiB" min:"64KiB" doc:"Size of one log file."`
	MaxFiles int64     `berth:"max_file,optional" default:"3" min:"1" max:"100" doc:"How many log files there are; the oldest is dropped."`
}

// SandboxConfig is the config block of a template.
type SandboxConfig struct {
	Isolation string    `berth:"isolation,optional" default:"standard" oneof:"standard,full" doc:"The level that this machine must be able to give: standard wants namespaces, a fresh root, no capabilities and the seccomp filter; full also Landlock and cgroup limits. See the README."`
	User      string    `berth:"user,optional" pattern:"^([0-9]+:[0-9]+)?$" doc:"uid:gid of the sandbox's processes on this machine. Default: 65534:65534 where the host runs as root, else its own, which then is the only one that works. Never 0."`
	WorkDir   string    `berth:"workdir,optional" default:"/" pattern:"^/" doc:"The directory in which the command starts."`
	TmpSize   sdk.Bytes `berth:"tmp_size,optional" default:"64MiB" min:"64KiB" doc:"Size of each of /tmp and /dev/shm, which are in memory and count for the sandbox's limit."`
}

// Options are what a provider uses of its process.
type Options struct {
	Logger         *slog.Logger         // nil: nothing is logged
	TracerProvider trace.TracerProvider // nil: no spans

	off []string // tests: the mechanisms that are left out; see package stage
}

// withDefaults fills what a caller in Go left empty. Values that came through the schema
// are complete already.
func (c Config) withDefaults() Config {
	if c.Cgroup == "" {
		c.Cgroup = defaultCgroup
	}
	if c.Log.MaxSize == 0 {
		c.Log.MaxSize = defaultLogSize
	}
	if c.Log.MaxFiles == 0 {
		c.Log.MaxFiles = defaultLogFiles
	}
	return c
}

func (c SandboxConfig) withDefaults() SandboxConfig {
	if c.Isolation == "" {
		c.Isolation = isolationStandard
	}
	if c.WorkDir == "" {
		c.WorkDir = "/"
	}
	if c.TmpSize == 0 {
		c.TmpSize = defaultTmpSize
	}
	return c
}
