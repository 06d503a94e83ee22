package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/berth-dev/berth/sdk/provider"
)

// report gathers findings about one file.
type report struct {
	file   *file
	hidden []hcl.Range // never shown
	diags  Diagnostics
}

// fail adds an error at rng.
func (r *report) fail(rng hcl.Range, summary, detail string) {
	r.add(provider.SeverityError, rng, summary, detail)
}

// warn adds a warning at rng.
func (r *report) warn(rng hcl.Range, summary, detail string) {
	r.add(provider.SeverityWarning, rng, summary, detail)
}

// must adds the error of a value that is not what it must be.
func (r *report) must(rng hcl.Range, name, limit, value, remedy string) {
	r.fail(rng, fmt.Sprintf("%s must be %s, not %s", name, limit, value), remedy)
}

func (r *report) add(severity provider.Severity, rng hcl.Range, summary, detail string) {
	d := Diagnostic{
		Severity: severity,
		Summary:  strings.ToValidUTF8(summary, "\uFFFD"),
		Detail:   strings.ToValidUTF8(detail, "\uFFFD"),
		File:     r.file.name,
		Line:     rng.Start.Line,
		Column:   rng.Start.Column,
	}
	d.Source, d.Mark = r.file.show(rng, r.hidden)
	if r.file.body != nil {
		d.Within = r.file.within(rng)
	}
	r.diags = append(r.diags, d)
}

// hcl adds what the HCL library found. Of a finding in a hidden range only the summary
// is kept.
func (r *report) hcl(diags hcl.Diagnostics) {
	for _, d := range diags {
		severity := provider.SeverityError
		if d.Severity == hcl.DiagWarning {
			severity = provider.SeverityWarning
		}
		var rng hcl.Range
		if d.Subject != nil {
			rng = *d.Subject
		}
		summary, detail := plain(d)
		if covering(r.hidden, rng.Start.Byte) >= 0 {
			detail = ""
		}
		r.add(severity, rng, summary, detail)
	}
}
