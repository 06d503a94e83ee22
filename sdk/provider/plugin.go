package provider

import "context"

// Plugin is a provider together with the verbs of the process around it. The host
// calls, in this order: Info, Schemas, Validate, Configure; then the provider's verbs,
// in any number; at the end Drain. The SDK makes one from a typed definition; the
// client of a remote plugin is one too.
type Plugin interface {
	// Info tells who this is. It touches no backend.
	Info(ctx context.Context) (Info, error)

	// Schemas tells which settings there are. It touches no backend, and its answer
	// never changes within one version.
	Schemas(ctx context.Context) (Schemas, error)

	// Validate checks what the schemas alone can't. It must not touch the backend: a
	// configuration is judged also while the backend is away. The error is for a call
	// that could not be made; what is wrong with the values is in the diagnostics.
	Validate(ctx context.Context, req ValidateRequest) (Diagnostics, error)

	// Configure makes the provider ready for use. It is called once in a generation,
	// and succeeds also while the backend is away.
	Configure(ctx context.Context, req ConfigureRequest) (Configured, error)

	// Provider returns the provider's verbs. Before Configure has succeeded each of
	// them fails with Unavailable.
	Provider() Provider

	// Drain refuses new calls and returns when those in flight are done, or ctx is.
	Drain(ctx context.Context) error
}

// Info tells who a plugin is.
type Info struct {
	Name     string // "docker"
	Version  string // of the plugin
	Features []string
}

// ValidateRequest carries settings to be checked.
type ValidateRequest struct {
	Config    []byte            // the provider schema's values, a JSON object
	Sandboxes map[string][]byte // by template: the sandbox schema's values
	Templates map[string]TemplateInfo
}

// TemplateInfo is what a provider may want to judge of a template beside its own block.
// Values that depend on the session are left out.
type TemplateInfo struct {
	Image   string
	Network string
	Port    int
	Publish bool
	Mounts  []Mount // with the sources that are constant; "" where they are not
}

// ConfigureRequest carries settings that were checked.
type ConfigureRequest struct {
	Config []byte // the provider schema's values, a JSON object
	Owner  string // the host's owner id
}

// Configured is what the host learns when a provider is ready for use.
type Configured struct {
	Capabilities []Capability // derived by the SDK; see [CapabilitiesOf]
}

// Severity says whether a diagnostic refuses the configuration.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Diagnostic is one finding about settings.
type Diagnostic struct {
	Severity Severity
	Summary  string   // one line: the field, the value, the limit
	Detail   string   // the remedy
	Template string   // the template whose block is meant; "" for the provider's block
	Path     []string // the attribute: "memory"; nested: "log", "max_size"; of the template itself: "template.network"
}

// Diagnostics are findings, in the order in which they should be shown.
type Diagnostics []Diagnostic

// HasErrors reports whether any of them refuses the configuration.
func (d Diagnostics) HasErrors() bool {
	for _, x := range d {
		if x.Severity == SeverityError {
			return true
		}
	}
	return false
}
