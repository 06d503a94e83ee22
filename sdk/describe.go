package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/internal/settings"
	"github.com/berth-dev/berth/sdk/internal/wire"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/schemadoc"
)

// openFor bounds what describe waits for a provider to be opened and closed.
const openFor = 5 * time.Second

// describe tells who a plugin is. What the provider can do follows from the interfaces of
// what Open returns, so it is opened, with the settings that validate would read,
// else with the defaults, and closed again; where that can't be, they are unknown.
func describe(ctx context.Context, h Hand) int {
	asJSON, rest, err := h.output("describe")
	var doc Settings
	switch {
	case err != nil:
	case len(rest) > 1:
		err = fmt.Errorf("describe: give one FILE at most, or - for standard input")
	case len(rest) == 1:
		if doc, err = ReadSettings(rest[0], h.In); err != nil {
			err = fmt.Errorf("describe: %w", err)
		}
	}
	if err != nil {
		return h.fail(StatusUsage, "%v", err)
	}
	info, err := h.Plugin.Info(ctx)
	if err != nil {
		return h.fail(StatusFailed, "describe: the plugin can't tell who it is: %v", err)
	}
	schemas, err := h.Plugin.Schemas(ctx)
	if err != nil {
		return h.fail(StatusFailed, "describe: the plugin can't tell its settings: %v", err)
	}
	caps, unknown := capabilities(ctx, h.Plugin, schemas.Provider, null(doc.Config))
	if asJSON {
		out := struct {
			Name         string                `json:"name"`
			Version      string                `json:"version"`
			Features     []string              `json:"features"`
			Protocol     int                   `json:"protocol"`
			Capabilities []provider.Capability `json:"capabilities"`                   // null: unknown
			Unknown      string                `json:"capabilities_unknown,omitempty"` // why
			Schemas      map[string]any        `json:"schemas"`
		}{info.Name, info.Version, append([]string{}, info.Features...), wire.ProtocolVersion, caps, unknown,
			map[string]any{"provider": schemadoc.JSON(schemas.Provider), "sandbox": schemadoc.JSON(schemas.Sandbox)}}
		e := json.NewEncoder(h.Out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(out); err != nil {
			return h.fail(StatusFailed, "describe: %v", err)
		}
		return StatusDone
	}
	fmt.Fprintf(h.Out, "%s %s\n", info.Name, info.Version)
	if schemas.Provider.Doc != "" {
		fmt.Fprintln(h.Out, schemas.Provider.Doc)
	}
	line := func(what, value string) {
		if value == "" {
			value = "none"
		}
		fmt.Fprintf(h.Out, "%-13s %s\n", what, value)
	}
	fmt.Fprintln(h.Out)
	line("protocol", fmt.Sprint(wire.ProtocolVersion))
	line("features", strings.Join(info.Features, ", "))
	if unknown != "" {
		line("capabilities", "unknown: "+unknown)
	} else {
		line("capabilities", join(caps))
	}
	fmt.Fprintf(h.Out, "\nprovider %q { config { … } }\n", info.Name)
	err = schemadoc.Text(h.Out, "  ", schemas.Provider)
	fmt.Fprint(h.Out, "\ntemplate { config { … } }\n")
	if err == nil {
		err = schemadoc.Text(h.Out, "  ", schemas.Sandbox)
	}
	if err != nil {
		return h.fail(StatusFailed, "describe: %v", err)
	}
	return StatusDone
}

// capabilities opens the provider, or tells why they are unknown.
func capabilities(ctx context.Context, p provider.Plugin, s provider.Schema, config []byte) (caps []provider.Capability, unknown string) {
	ctx, cancel := context.WithTimeout(ctx, openFor)
	defer cancel()
	values, found := settings.Complete(s, config)
	if found.HasErrors() {
		return nil, "it can't be opened with these settings: " + found[0].Summary + "; give a FILE as for validate"
	}
	configured, err := p.Configure(ctx, provider.ConfigureRequest{Config: values, Owner: "describe"})
	if err != nil {
		return nil, err.Error()
	}
	if err := p.Drain(ctx); err != nil {
		return nil, "the provider can't be closed: " + err.Error()
	}
	return append([]provider.Capability{}, configured.Capabilities...), ""
}

func join(caps []provider.Capability) string {
	words := make([]string, len(caps))
	for i, c := range caps {
		words[i] = string(c)
	}
	return strings.Join(words, ", ")
}
