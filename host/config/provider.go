package config

import (
	"sync/atomic"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Provider is one provider block. Its config block is decoded by [Provider.Bind], with
// the schemas that only the plugin knows.
type Provider struct {
	Name     string
	Command  string // absolute, or the name of a file in the plugin directory
	SHA256   string // 64 lower-case hex digits; "": not checked
	Required bool

	Adopt         []string // owners whose sandboxes are taken over; "unowned" for those without one
	AcceptBackend string   // the backend whose arrival the operator accepts; "": none
	Env           map[string]string

	templates []*Template // that use it, in the order of the file
	file      *file
	block     *hclsyntax.Block
	reader    *reader
	bound     atomic.Pointer[bound] // the last success of Bind
	secrets   atomic.Pointer[secrets]
}

// Unowned is the name by which Adopt means sandboxes without an owner.
const Unowned = "unowned"

// Templates returns the templates that use the provider, in the order of the file.
func (p *Provider) Templates() []*Template { return p.templates }
