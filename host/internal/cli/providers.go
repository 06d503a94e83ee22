package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
)

// inspectWithin bounds what `berth providers` waits for a plugin and its backend.
const inspectWithin = 15 * time.Second

func (a *app) providers() *cobra.Command {
	return &cobra.Command{
		Use: "providers", Short: "Start each provider's plugin and tell how it is", Args: cobra.NoArgs,
		Long: `Start each provider's plugin from a private temporary directory, ask it and its
backend how they are, and end it: state, version, capabilities, and what the backend can't
enforce on this machine. The exit status is 1 when one is not ready.`,
		Example: "  berth providers\n  berth providers -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			list, err := host.Inspect(cmd.Context(), cfg, host.Options{Logger: log}, inspectWithin)
			if err != nil {
				return &exitError{exitFailed, fmt.Errorf("providers: %w", err)}
			}
			if asJSON {
				err = json.NewEncoder(a.out).Encode(providersJSON(list))
			} else {
				a.providersTable(list)
			}
			for _, p := range list {
				if p.State != "ready" && err == nil {
					err = &exitError{exitFailed, nil}
				}
			}
			return err
		},
	}
}

// providerJSON is a provider as `-o json` shows it.
type providerJSON struct {
	Name         string           `json:"name"`
	State        string           `json:"state"`
	Reason       string           `json:"reason"`
	Plugin       string           `json:"plugin"`
	Version      string           `json:"version"`
	Backend      string           `json:"backend"`
	Identity     string           `json:"identity"`
	Capabilities []string         `json:"capabilities"`
	Limitations  []limitationJSON `json:"limitations"`
}

type limitationJSON struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

func providersJSON(list []host.ProviderStatus) []providerJSON {
	out := make([]providerJSON, 0, len(list))
	for _, p := range list {
		j := providerJSON{Name: p.Name, State: string(p.State), Reason: p.Reason, Plugin: p.Info.Name, Version: p.Info.Version,
			Backend: p.Health.Version, Identity: p.Identity, Capabilities: []string{}, Limitations: []limitationJSON{}}
		for _, c := range p.Capabilities {
			j.Capabilities = append(j.Capabilities, string(c))
		}
		for _, l := range p.Health.Limitations {
			j.Limitations = append(j.Limitations, limitationJSON{l.Name, l.Reason})
		}
		out = append(out, j)
	}
	return out
}

func (a *app) providersTable(list []host.ProviderStatus) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROVIDER\tSTATE\tPLUGIN\tBACKEND\tCAPABILITIES")
	for _, p := range providersJSON(list) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Name, p.State, dash(strings.TrimSpace(p.Plugin+" "+p.Version)), dash(p.Backend), dash(strings.Join(p.Capabilities, ", ")))
	}
	w.Flush()
	for _, p := range providersJSON(list) {
		if p.Reason != "" {
			fmt.Fprintf(a.out, "\n%s is %s: %s\n", p.Name, p.State, p.Reason)
		}
		if len(p.Limitations) > 0 {
			fmt.Fprintf(a.out, "\n%s can't enforce here:\n", p.Name)
		}
		for _, l := range p.Limitations {
			fmt.Fprintf(a.out, "  %s: %s\n", l.Name, l.Reason)
		}
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
