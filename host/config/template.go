package config

import (
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/berth-dev/berth/sdk/provider"
)

// Template is one template block. What depends on the session is had by
// [Template.Evaluate], the provider's own settings by [Template.SandboxConfig].
type Template struct {
	Name      string
	Provider  string // the label of a provider block
	Image     string // "": none; whether that will do is the provider's to say
	Network   string // "": none; likewise
	Port      int    // the agent's port in the sandbox; 0: no endpoint
	Publish   bool   // the endpoint is a port on 127.0.0.1 that the backend picks
	TTL       time.Duration
	Limits    Limits
	Resources provider.Resources
	Ready     *Ready // nil: running means started

	command hclsyntax.Expression // nil: the image's
	env     hclsyntax.Expression // nil: none
	mounts  []*mount

	file   *file
	block  *hclsyntax.Block
	reader *reader
	config atomic.Pointer[[]byte]
}

// Limits are a template's own; 0 is none.
type Limits struct {
	Sessions         int
	SessionsPerAgent int
}

// Ready tells how the host learns that the agent answers: exactly one of TCP and HTTP.
type Ready struct {
	TCP     bool
	HTTP    string // a path that answers with 2xx
	Timeout time.Duration
}

// Session is what a template's expressions may use.
type Session struct {
	ID        string
	ChatID    string
	AgentID   string // "": none
	Volume    string // "": none; expressions see null
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Evaluated is the part of a template that depends on the session.
type Evaluated struct {
	Command []string          // empty: the image's
	Env     []provider.EnvVar // sorted by name; without AGENT_ID, which is the host's
	Mounts  []Mount           // in the order of the file; those whose source is null are left out
}

// Mount is one host directory to be seen in the sandbox.
type Mount struct {
	Name   string
	Source string // absolute and clean; symlinks are not resolved yet

	// Confine is the directory below which Source must still lie once symlinks are
	// resolved: what the template wrote before the first text of the caller. Source lies
	// below it lexically. It is "" where Source holds no text of the caller, or is the
	// request's volume and nothing else.
	Confine string

	Target   string // absolute and clean, not "/"
	ReadOnly bool
	Create   *CreateDir // nil: the source must exist
}

// CreateDir asks for a mount's source to be made when it is missing.
type CreateDir struct {
	Within string // an existing directory, below which directories may be made
	Owner  string // "uid:gid"; "": the image's user
	Mode   fs.FileMode
}

// mount is a mount block whose source is still an expression.
type mount struct {
	name     string
	source   hclsyntax.Expression
	constant bool // the source has no session.* in it
	target   string
	readOnly bool
	create   *CreateDir
	rng      hcl.Range // of the source's expression
}
