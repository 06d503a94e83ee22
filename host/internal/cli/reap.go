package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

func (a *app) reap() *cobra.Command {
	var expired, dryRun bool
	cmd := &cobra.Command{
		Use: "reap --expired", Short: "End what is past its deadline when no host runs any more", Args: cobra.NoArgs,
		Long: `Stand in for a host that never comes back: end the sessions that are past their deadline, or
that somebody had asked to end, in the same way as a host does, and nothing else. It takes the
lock of state_dir, and refuses while a host lives there. A sandbox of this host without a lease
is not ended: it gets one, with the deadline that it bears or recovery_grace from now, whichever
is later, and a later run reaps it then. With --dry-run nothing is changed, and the answer is
what would happen.

The exit status is 1 when something could not be ended, or a provider is not ready.`,
		Example: "  berth reap --expired --dry-run\n  berth reap --expired --config /etc/berth/config.hcl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			if !expired {
				return usage(errors.New("reap: say what is to be reaped: --expired is all that there is"))
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			r, err := host.Reap(cmd.Context(), cfg, host.Options{Logger: log}, dryRun)
			if err != nil {
				return failed("reap", err)
			}
			if asJSON {
				err = a.printJSON(reapedJSON(r, dryRun))
			} else {
				err = a.printReaped(r, dryRun)
			}
			for _, p := range r.Providers {
				if p.State != "ready" && err == nil {
					err = &exitError{exitFailed, nil}
				}
			}
			if len(r.Left) > 0 && err == nil {
				err = &exitError{exitFailed, nil}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&expired, "expired", false, "end what is past its deadline, or was asked to end")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only tell what would be done")
	return cmd
}

func (a *app) printReaped(r host.Reaped, dryRun bool) error {
	would := func(did, would string) string {
		if dryRun {
			return would
		}
		return did
	}
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(a.out, format+"\n", args...)
		}
	}
	if r.DamagedStore != "" {
		line("%s: %s", would("the lease store was damaged, and was moved aside", "the lease store is damaged, and would be moved aside"), printable(r.DamagedStore))
	}
	if r.LostStore {
		line("the lease store is lost: %s", would("a new one was begun, without the extensions of before", "a new one would be begun, without the extensions of before"))
	}
	for _, s := range r.Ended {
		reason := "ended" // its record was pruned meanwhile
		if s.Ended != nil {
			reason = string(s.Ended.Reason)
		}
		line("%s  %s  (%s; deadline %s)", would("reaped     ", "would reap "), s.ID, reason, dash(moment(s.ExpiresAt)))
	}
	for _, s := range r.Adopted {
		line("%s  %s  (no lease; until %s)", would("adopted    ", "would adopt"), s.ID, moment(s.ExpiresAt))
	}
	for _, u := range r.Left {
		line("not reaped   %s  (%s)", u.ID, printable(u.Reason))
	}
	for _, p := range r.Providers {
		if p.State != "ready" {
			line("provider %q is %s: %s", p.Name, p.State, printable(p.Reason))
		}
	}
	line("%d %s, %d %s, %d left, %d living", len(r.Ended), would("reaped", "to reap"), len(r.Adopted), would("adopted", "to adopt"), len(r.Left), r.Living)
	return err
}

// reapedJSON is a reap as JSON: sessions as everywhere.
func reapedJSON(r host.Reaped, dryRun bool) ([]byte, error) {
	type left struct {
		Session json.RawMessage `json:"session"`
		Reason  string          `json:"reason"`
	}
	type state struct {
		Name   string `json:"name"`
		State  string `json:"state"`
		Reason string `json:"reason"`
	}
	shown := struct {
		DryRun       bool            `json:"dry_run"`
		Reaped       json.RawMessage `json:"reaped"`
		Adopted      json.RawMessage `json:"adopted"`
		Left         []left          `json:"left"`
		Living       int             `json:"living"`
		DamagedStore string          `json:"damaged_store"`
		LostStore    bool            `json:"lost_store"`
		Providers    []state         `json:"providers"`
		At           time.Time       `json:"at"`
	}{DryRun: dryRun, Left: []left{}, Living: r.Living, DamagedStore: r.DamagedStore, LostStore: r.LostStore, Providers: []state{}, At: time.Now().UTC()}
	var errs [2]error
	shown.Reaped, errs[0] = convert.SessionsJSON(r.Ended)
	shown.Adopted, errs[1] = convert.SessionsJSON(r.Adopted)
	err := errors.Join(errs[:]...)
	for _, u := range r.Left {
		text, lerr := convert.SessionJSON(u.Session)
		err = errors.Join(err, lerr)
		shown.Left = append(shown.Left, left{text, u.Reason})
	}
	for _, p := range r.Providers {
		shown.Providers = append(shown.Providers, state{p.Name, string(p.State), p.Reason})
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(shown)
}
