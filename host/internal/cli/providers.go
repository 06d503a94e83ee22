package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

// inspectWithin bounds what `berth providers` waits for a plugin and its backend.
const inspectWithin = 15 * time.Second

func (a *app) providers() *cobra.Command {
	cmd := &cobra.Command{
		Use: "providers", Short: "Tell how each provider is", Args: cobra.NoArgs,
		Long: `Tell how each provider is: state, version, capabilities, and what the backend can't
enforce on this machine. The host that runs is asked. Without one each provider's plugin is
started from a private temporary directory, asked, and ended; not so when --socket names a
host. The exit status is 1 when one is not ready.`,
		Example: "  berth providers\n  berth providers -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			list, err := a.askForProviders(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.printJSON(providersJSON(list))
			} else {
				a.printProviders(list)
			}
			for _, p := range list {
				if p.State != "ready" && err == nil {
					err = &exitError{exitFailed, nil}
				}
			}
			return err
		},
	}
	cmd.AddCommand(a.providersDocs())
	return cmd
}

// askForProviders asks the host, or the plugins themselves where none runs.
func (a *app) askForProviders(cmd *cobra.Command) ([]client.Provider, error) {
	c, err := a.dial(cmd)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), inspectWithin)
	defer cancel()
	list, err := c.Providers(ctx)
	nobody := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
	if err == nil || a.socket != "" || !nobody {
		return list, failed("providers", err)
	}
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	log, err := a.inspector(cmd)
	if err != nil {
		return nil, err
	}
	seen, err := host.Inspect(cmd.Context(), cfg, host.Options{Logger: log}, inspectWithin)
	if err != nil {
		return nil, failed("providers", err)
	}
	for _, p := range seen {
		list = append(list, inspected(p))
	}
	return list, nil
}

// inspected is a provider that was asked here, as a host would tell of it.
func inspected(r host.ProviderStatus) client.Provider {
	p := client.Provider{Name: r.Name, State: string(r.State), Reason: r.Reason, Plugin: r.Info.Name, Version: r.Info.Version,
		Backend: r.Health.Version, Identity: r.Identity, Generation: r.Generation}
	for _, c := range r.Capabilities {
		p.Capabilities = append(p.Capabilities, string(c))
	}
	for _, l := range r.Health.Limitations {
		p.Limitations = append(p.Limitations, client.Limitation{Name: l.Name, Reason: l.Reason})
	}
	return p
}

// providersJSON is the list as the API's JSON.
func providersJSON(list []client.Provider) ([]byte, error) {
	parts := make([][]byte, len(list))
	for i, p := range list {
		var err error
		if parts[i], err = convert.Marshal(convert.ProviderToProto(p)); err != nil {
			return nil, err
		}
	}
	return fmt.Appendf(nil, "[%s]", bytes.Join(parts, []byte(","))), nil
}

func (a *app) printProviders(list []client.Provider) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROVIDER\tSTATE\tPLUGIN\tBACKEND\tCAPABILITIES")
	for _, p := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Name, p.State, dash(strings.TrimSpace(p.Plugin+" "+p.Version)), dash(p.Backend), dash(strings.Join(p.Capabilities, ", ")))
	}
	w.Flush()
	for _, p := range list {
		if p.Reason != "" {
			fmt.Fprintf(a.out, "\n%s is %s: %s\n", p.Name, p.State, printable(p.Reason))
		}
		if len(p.Limitations) > 0 {
			fmt.Fprintf(a.out, "\n%s can't enforce here:\n", p.Name)
		}
		for _, l := range p.Limitations {
			fmt.Fprintf(a.out, "  %s: %s\n", l.Name, printable(l.Reason))
		}
	}
}
