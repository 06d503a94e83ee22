package provider

import "time"

// Spec is all that a provider needs to make one sandbox. The host has evaluated and
// checked it; a provider carries it out or refuses it, and changes nothing in it.
type Spec struct {
	Name        string // berth-<owner[:12]>-<session id>: unique at the backend
	Owner       string // the host's owner id
	SessionID   string // UUID, lower case with hyphens
	ChatID      string // UUID, lower case with hyphens
	AgentID     string // "" for none
	Template    string
	RequestHash string // equal for equal requests

	CreatedAt time.Time // whole microseconds, UTC
	ExpiresAt time.Time // whole microseconds, UTC; the first deadline, written on the sandbox

	Image   string   // as the template names it
	Digest  string   // what Prepare answered: create from exactly this
	Command []string // empty: the image's
	Env     []EnvVar // complete, AGENT_ID included, in this order

	VolumeHostPath string // resolved; "" when the request brought none
	Mounts         []Mount

	Network   string // the backend's network to join
	Port      int    // the agent's port inside the sandbox; 0 for no endpoint
	Publish   bool   // the endpoint is a port on 127.0.0.1 that the backend picks
	Resources Resources

	// ConfirmStart says that nobody will probe the sandbox: Create looks for a moment
	// whether its command holds, and fails when it can't be executed or exits at once. A
	// provider that knows this as soon as the sandbox runs need not wait.
	ConfirmStart bool

	Config []byte // the values of the provider's sandbox schema, a JSON object
}

// EnvVar is one variable of a sandbox's environment.
type EnvVar struct {
	Name  string
	Value string
}

// Mount is one host directory seen in the sandbox.
type Mount struct {
	Name     string // the template's label for it
	Source   string // absolute, symlinks resolved; it exists
	Target   string // absolute
	ReadOnly bool
}

// SwapPolicy says what happens where swap can't be limited.
type SwapPolicy string

// The swap policies.
const (
	SwapAuto    SwapPolicy = "auto"    // limited to the memory limit where the backend can
	SwapRequire SwapPolicy = "require" // refused as Unsupported where it can't
)

// Resources are upper limits. Each is always set.
type Resources struct {
	MemoryBytes int64
	NanoCPUs    int64 // 1e9 is one CPU
	Pids        int64
	Swap        SwapPolicy
}
