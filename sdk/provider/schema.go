package provider

// Schemas are a provider's settings: for its provider { config { … } } block and for
// the template { config { … } } blocks that use it.
type Schemas struct {
	Provider Schema
	Sandbox  Schema
}

// Schema describes one block of settings.
type Schema struct {
	Doc        string
	Attributes []Attribute // in the order in which they are documented
	Blocks     []Block
}

// Block is a nested block of settings.
type Block struct {
	Name     string
	Doc      string
	Repeated bool // any number, sent as an array; else at most one, sent as an object
	Required bool // at least one
	Schema   Schema
}

// Type is the type of an attribute.
type Type string

// The types. Values travel as JSON: a duration or a size as the string that was
// written ("5s", "512MiB"), checked by the host.
const (
	TypeString     Type = "string"
	TypeBool       Type = "bool"
	TypeInt        Type = "int"    // 64 bits, signed
	TypeNumber     Type = "number" // finite
	TypeDuration   Type = "duration"
	TypeBytes      Type = "bytes"
	TypeStringList Type = "list(string)"
	TypeStringMap  Type = "map(string)"
)

// Attribute describes one setting.
type Attribute struct {
	Name      string // snake case
	Type      Type
	Doc       string
	Required  bool
	Sensitive bool   // never shown in logs, diagnostics or documentation
	Default   []byte // JSON; nil for the type's zero value

	OneOf   []string // for strings and each element of a list: the values allowed; empty for any
	Min     *float64 // for numbers, durations (seconds) and sizes (bytes): inclusive
	Max     *float64
	Pattern string // for strings: a regular expression (RE2) that must match
}
