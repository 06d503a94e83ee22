package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/berth-dev/berth/sdk/internal/settings"
	"github.com/berth-dev/berth/sdk/provider"
)

// maxSettings is the most bytes of settings that validate reads.
const maxSettings = 1 << 20

// Settings are what the verbs of a plugin's binary read: a JSON object with the values of
// the provider's config block, and the templates that use it.
type Settings struct {
	Config    json.RawMessage             `json:"config"`
	Templates map[string]TemplateSettings `json:"templates"`
}

// TemplateSettings is a template in [Settings], with the words of a configuration.
type TemplateSettings struct {
	Image   string          `json:"image"`
	Command []string        `json:"command"`
	Network string          `json:"network"`
	Port    int             `json:"port"`
	Publish bool            `json:"publish"`
	Mounts  []MountSettings `json:"mounts"`
	Config  json.RawMessage `json:"config"` // the values of its config block
}

// MountSettings is a mount of [TemplateSettings].
type MountSettings struct {
	Name     string `json:"name"`
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only"`
}

// validate checks a document by the schemas, as a host does, and lets the plugin judge it.
func validate(ctx context.Context, h Hand) int {
	asJSON, rest, err := h.output("validate")
	if err == nil && len(rest) != 1 {
		err = fmt.Errorf(`validate: give one FILE, or - for standard input. It holds {"config": {…}, "templates": {"NAME": {"image": "…", "config": {…}}}}`)
	}
	if err != nil {
		return h.fail(StatusUsage, "%v", err)
	}
	doc, err := ReadSettings(rest[0], h.In)
	if err != nil {
		return h.fail(StatusUsage, "validate: %v", err)
	}
	found, err := judge(ctx, h.Plugin, doc)
	if err != nil {
		return h.fail(StatusFailed, "validate: the plugin can't judge it: %v", err)
	}
	if err := tell(h.Out, asJSON, rest[0], found); err != nil {
		return h.fail(StatusFailed, "validate: %v", err)
	}
	if found.HasErrors() {
		return StatusFailed
	}
	return StatusDone
}

// ReadSettings reads the file at path, or in when that is "-". Unknown names are an error.
func ReadSettings(path string, in io.Reader) (doc Settings, err error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return doc, err
		}
		defer f.Close()
		in = f
	} else {
		path = "standard input"
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSettings+1))
	if err != nil {
		return doc, err
	}
	if len(text) > maxSettings {
		return doc, fmt.Errorf("%s has more than %d bytes: settings are small", path, maxSettings)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return doc, fmt.Errorf(`%s: %w; give {"config": {…}, "templates": {"NAME": {"image": "…", "config": {…}}}}`, path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return doc, fmt.Errorf("%s: there is more than one JSON value", path)
	}
	return doc, nil
}

// judge checks by the schemas first; what they refuse the plugin does not see.
func judge(ctx context.Context, p provider.Plugin, doc Settings) (provider.Diagnostics, error) {
	schemas, err := p.Schemas(ctx)
	if err != nil {
		return nil, err
	}
	req := provider.ValidateRequest{Sandboxes: map[string][]byte{}, Templates: map[string]provider.TemplateInfo{}}
	var found provider.Diagnostics
	if req.Config, found = settings.Complete(schemas.Provider, null(doc.Config)); found == nil {
		found = provider.Diagnostics{}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Templates)) {
		t := doc.Templates[name]
		values, wrong := settings.Complete(schemas.Sandbox, null(t.Config))
		for _, d := range wrong {
			d.Template = name
			found = append(found, d)
		}
		info := provider.TemplateInfo{Image: t.Image, Network: t.Network, Port: t.Port, Publish: t.Publish}
		for _, m := range t.Mounts {
			info.Mounts = append(info.Mounts, provider.Mount(m))
		}
		req.Sandboxes[name], req.Templates[name] = values, info
	}
	if found.HasErrors() {
		return found, nil
	}
	more, err := p.Validate(ctx, req)
	return append(found, more...), err
}

// null is nothing, as for what is not there.
func null(raw json.RawMessage) []byte {
	if isNull(raw) {
		return nil
	}
	return raw
}

func tell(w io.Writer, asJSON bool, what string, found provider.Diagnostics) error {
	if asJSON {
		type finding struct {
			Severity provider.Severity `json:"severity"`
			Template string            `json:"template"`
			Path     []string          `json:"path"`
			Summary  string            `json:"summary"`
			Detail   string            `json:"detail"`
		}
		out := struct {
			Valid    bool      `json:"valid"`
			Findings []finding `json:"diagnostics"`
		}{!found.HasErrors(), []finding{}}
		for _, d := range found {
			out.Findings = append(out.Findings, finding{d.Severity, d.Template, append([]string{}, d.Path...), d.Summary, d.Detail})
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(out)
	}
	for _, d := range found {
		if _, err := fmt.Fprintf(w, "%s: %s: %s\n", d.Severity, place(d), d.Summary); err != nil {
			return err
		}
		if d.Detail != "" {
			fmt.Fprintf(w, "    %s\n", d.Detail)
		}
	}
	if !found.HasErrors() {
		if what == "-" {
			what = "standard input"
		}
		_, err := fmt.Fprintf(w, "%s is valid\n", what)
		return err
	}
	return nil
}

// place is where in the document a finding belongs.
func place(d provider.Diagnostic) string {
	at := "config"
	path := d.Path
	if d.Template != "" {
		at = "templates." + d.Template + ".config"
		if len(path) > 0 {
			if own, ok := strings.CutPrefix(path[0], "template."); ok { // of the template itself
				at, path = "templates."+d.Template, append([]string{own}, path[1:]...)
			}
		}
	}
	return strings.Join(append([]string{at}, path...), ".")
}
