package config

import (
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// provider reads one provider block, all but its config.
func (r *reader) provider(b *hclsyntax.Block) *Provider {
	s := r.open(b.Body, b.DefRange(), providerNames)
	name := b.Labels[0]
	return &Provider{
		Name:          name,
		Command:       s.text("command", "berth-provider-"+name, executable),
		SHA256:        strings.ToLower(s.text("sha256", "", digest)),
		Required:      s.flag("required"),
		Adopt:         s.texts("adopt", named),
		AcceptBackend: s.text("accept_backend", ""),
		Env:           s.variables("env"),
		file:          r.file,
		block:         b,
		reader:        r,
	}
}
