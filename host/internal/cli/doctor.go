package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/config"
)

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Tell what is wrong here, and what can be done about it", Args: cobra.NoArgs,
		Long: `Look at everything that a host stands on, and tell what was found, what a host does about it
by itself, and what you can do: the state directory, its disk, its lock and its owner, the
leases, the plugins and their backends, sessions past their deadline, sandboxes without a lease.
Nothing is changed. While a host runs its leases are left alone, and the host is asked. Without
one the plugins are started from a private temporary directory, asked, and ended.

The exit status is 0 when nothing is to be done, 1 when something is.`,
		Example: "  berth doctor --config /etc/berth/config.hcl\n  berth doctor -o json",
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
			d, err := host.Diagnose(cmd.Context(), cfg, host.Options{Logger: log})
			if err != nil {
				return failed("doctor", err)
			}
			if d.HostRuns {
				d.Findings = append(d.Findings, a.askTheHost(cmd.Context(), cfg)...)
			}
			if asJSON {
				err = a.printJSON(diagnosisJSON(d))
			} else {
				err = a.printDiagnosis(d)
			}
			if err == nil && !d.Healthy() {
				err = &exitError{exitFailed, nil}
			}
			return err
		},
	}
}

// askTheHost is what the host that lives on the state directory says.
func (a *app) askTheHost(ctx context.Context, cfg *config.Config) []host.Finding {
	ctx, cancel := context.WithTimeout(ctx, inspectWithin)
	defer cancel()
	socket := cfg.Control.Socket
	if a.socket != "" {
		socket = a.socket
	}
	c := client.New(socket)
	defer c.Close()
	list, err := c.Providers(ctx)
	var sessions []host.Session
	if err == nil {
		sessions, err = c.List(ctx, host.Filter{})
	}
	if err != nil {
		return []host.Finding{{Level: host.LevelProblem, About: "control.socket", Message: fmt.Sprintf("the host does not answer at %s: %v", socket, err),
			Remedy: "was control.socket changed, or is the host hung or just starting? see its log; restarting it is safe"}}
	}
	found := []host.Finding{{Level: host.LevelOK, About: "control.socket", Message: "the host answers at " + socket}}
	for _, p := range list {
		f := host.Finding{Level: host.LevelOK, About: fmt.Sprintf("provider %q", p.Name),
			Message: fmt.Sprintf("%s %s is ready, in generation %d; its backend is %q", p.Plugin, p.Version, p.Generation, p.Identity)}
		if p.State != "ready" {
			f.Level, f.Message, f.Remedy = host.LevelProblem, fmt.Sprintf("it is %s: %s", p.State, p.Reason), "do what the message says; the host tries again by itself"
		}
		found = append(found, f)
	}
	unknown := 0
	for _, s := range sessions {
		if s.Status == host.StatusUnknown {
			unknown++
		}
	}
	f := host.Finding{Level: host.LevelOK, About: "sessions", Message: fmt.Sprintf("%d have not ended", len(sessions))}
	if unknown > 0 {
		f.Level, f.Message, f.Remedy = host.LevelProblem, fmt.Sprintf("%d have not ended, %d of them unknown: their provider can't be asked", len(sessions), unknown), "see to the provider"
	}
	return append(found, f)
}

func (a *app) printDiagnosis(d host.Diagnosis) error {
	var b strings.Builder
	screen := newScreen(a.out)
	problems := 0
	for _, f := range d.Findings {
		st := green
		switch f.Level {
		case host.LevelNote:
			st = cyan
		case host.LevelProblem:
			st = red
			problems++
		}
		fmt.Fprintf(&b, "%s %s: %s\n", screen.paint(fmt.Sprintf("%-7s", f.Level), st), f.About, indented(f.Message))
		if f.Then != "" {
			fmt.Fprintf(&b, "        a host: %s\n", indented(f.Then))
		}
		if f.Remedy != "" {
			fmt.Fprintf(&b, "        you:    %s\n", indented(f.Remedy))
		}
	}
	switch problems {
	case 0:
		b.WriteString("nothing is to be done\n")
	default:
		fmt.Fprintf(&b, "something is to be done: %d\n", problems)
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// indented is text of several lines below its first one.
func indented(text string) string {
	return strings.ReplaceAll(strings.TrimRight(printable(text), "\n"), "\n", "\n        ")
}

// diagnosisJSON is what the table tells, as JSON.
func diagnosisJSON(d host.Diagnosis) ([]byte, error) {
	type finding struct {
		Level   host.Level `json:"level"`
		About   string     `json:"about"`
		Message string     `json:"message"`
		Then    string     `json:"then"`
		Remedy  string     `json:"remedy"`
	}
	shown := struct {
		Healthy  bool      `json:"healthy"`
		HostRuns bool      `json:"host_runs"`
		HostPID  int       `json:"host_pid"`
		Findings []finding `json:"findings"`
	}{Healthy: d.Healthy(), HostRuns: d.HostRuns, HostPID: d.HostPID, Findings: []finding{}}
	for _, f := range d.Findings {
		shown.Findings = append(shown.Findings, finding(f))
	}
	return json.Marshal(shown)
}
