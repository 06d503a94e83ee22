package host

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/statedir"
	"github.com/berth-dev/berth/host/internal/supervisor"
	"github.com/berth-dev/berth/sdk/provider"
)

// listWithin bounds one list of a survey.
const listWithin = time.Minute

// surveyed is one provider as it was found, and what it lists.
type surveyed struct {
	block      *config.Provider
	report     ProviderStatus
	sandboxes  []provider.Sandbox
	unreadable []provider.Unreadable
	listed     bool // completely
}

// survey starts every plugin from a private temporary directory, waits until each is READY,
// refused, or within away from its backend, and asks for its list. It changes nothing. The
// backends of the leases' living sessions are compared with those that answer.
func survey(ctx context.Context, cfg *config.Config, opts Options, owner string, leases []lease.Record, within time.Duration) ([]surveyed, error) {
	found := make([]surveyed, len(cfg.Providers))
	index := map[string]int{}
	for i, p := range cfg.Providers {
		index[p.Name] = i
	}
	var mu sync.Mutex
	err := withPlugins(cfg, opts, func(l supervisor.Launcher, p *config.Provider) error {
		s, err := supervisor.New(supervisor.Options{Name: p.Name, Launcher: l, Settings: p, Owner: owner, Logger: opts.Logger,
			Engine: &identities{leases: leases}, AcceptBackend: func() string { return p.AcceptBackend }})
		if err != nil {
			return err
		}
		seen := surveyed{block: p}
		seen.report = observe(ctx, s, within, func() {
			list, cancel := context.WithTimeout(ctx, listWithin)
			defer cancel()
			summary, err := s.List(list, func(sb provider.Sandbox) error {
				seen.sandboxes = append(seen.sandboxes, sb)
				return nil
			})
			seen.unreadable, seen.listed = summary.Unreadable, err == nil
			if err != nil {
				opts.Logger.Warn("the plugin's sandboxes can't be listed", "provider", p.Name, "err", err)
			}
		})
		mu.Lock()
		defer mu.Unlock()
		found[index[p.Name]] = seen
		return nil
	})
	return found, err
}

// identities tells a supervisor which backends the leases name. There is nothing to
// reconcile, and nobody to tell.
type identities struct {
	leases []lease.Record

	mu       sync.Mutex
	accepted string
}

func (i *identities) Identities(name string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var ids []string
	for _, rec := range i.leases {
		gone := i.accepted != "" && rec.Identity != i.accepted
		if rec.Provider == name && rec.State != lease.Ended && rec.Identity != "" && !gone && !slices.Contains(ids, rec.Identity) {
			ids = append(ids, rec.Identity)
		}
	}
	return ids
}

// AcceptBackend hears what the operator has written. A host would end sessions for it.
func (i *identities) AcceptBackend(_ context.Context, _, identity string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.accepted = identity
	return nil
}

func (*identities) BackendChanged(string, lifecycle.BackendStatus)             {}
func (*identities) SandboxEvent(string, provider.Event)                        {}
func (*identities) EventsBroken(string)                                        {}
func (*identities) Reconcile(context.Context, string, provider.Provider) error { return nil }

// outlook is what a reap would come to, by the leases and what the providers list.
type outlook struct {
	Reaped
	missing int // living sessions whose sandbox is not on a complete list
	orphans int // of the sandboxes to adopt: those that a host would delete, for they are younger than the store
	foreign int
}

// look compares leases and lists, as the engine does.
func look(cfg *config.Config, owner string, x lease.Examination, found []surveyed, now time.Time) outlook {
	var o outlook
	state := map[string]surveyed{}
	for _, f := range found {
		state[f.block.Name] = f
		o.Providers = append(o.Providers, f.report)
	}
	held, records := map[string]bool{}, map[string]lease.Record{}
	for _, rec := range x.Records {
		records[rec.SessionID] = rec
		if rec.State == lease.Ended {
			continue
		}
		f, configured := state[rec.Provider]
		there := func(sb provider.Sandbox) bool {
			return sb.ID == rec.SandboxID || rec.SandboxID == "" && sb.Owner == owner && sb.SessionID == rec.SessionID
		}
		if i := slices.IndexFunc(f.sandboxes, there); i >= 0 {
			held[f.sandboxes[i].ID] = true
		} else if f.listed && rec.State != lease.Creating {
			o.missing++
		}
		gone := f.report.Identity != "" && rec.Identity != "" && rec.Identity != f.report.Identity &&
			configured && f.block.AcceptBackend == f.report.Identity // so the operator says
		v, reason := viewOf(rec), endOf(rec, now)
		switch {
		case gone:
			o.Ended = append(o.Ended, ended(v, lease.Lost, now))
		case reason == "" && rec.State != lease.Stopping:
			o.Living++
		case !configured:
			o.Left = append(o.Left, Unended{v, notConfigured(rec.Provider)})
		case f.report.State != lifecycle.Ready:
			o.Left = append(o.Left, Unended{v, notReady(f.report)})
		case reason == "":
			o.Living++ // its stop is brought to its end
		default:
			o.Ended = append(o.Ended, ended(v, reason, now))
		}
	}
	for _, f := range found {
		for _, sb := range f.sandboxes {
			_, known := records[sb.SessionID]
			switch name := cmp.Or(sb.Owner, config.Unowned); {
			case held[sb.ID]:
			case sb.Owner != owner && !slices.Contains(f.block.Adopt, name):
				o.foreign++
			case lifecycle.BeingMade(sb, owner, now, cfg.Lifecycle.CreateTimeout): // a later run sees
			case known: // the id is another session's: a host says so, and leaves it alone
			default:
				// Of a store that is lost or damaged the next one is born later than all there is.
				if sb.Owner == owner && x.Exists && x.Damage == "" && !sb.CreatedAt.Before(x.Birth) {
					o.orphans++
				}
				o.Adopted = append(o.Adopted, Session{
					ID: sb.SessionID, ChatID: sb.ChatID, AgentID: sb.AgentID, Template: sb.Template, Provider: f.block.Name,
					SandboxID: sb.ID, Status: Status(lifecycle.AdoptedState(sb, owner)), CreatedAt: sb.CreatedAt, VolumeHostPath: sb.VolumeHostPath,
					ExpiresAt: lifecycle.AdoptedUntil(sb, owner, now, cfg.Lifecycle.RecoveryGrace),
				})
				o.Living++
			}
		}
	}
	o.sort()
	return o
}

// endOf tells for which reason a session is to end now; "" when it is not.
func endOf(rec lease.Record, now time.Time) lease.Reason {
	switch {
	case rec.State == lease.Deleting, rec.State == lease.Stopping && rec.Reason != "": // that has begun
		return rec.Reason
	case rec.ExpiresAt.IsZero() || rec.ExpiresAt.After(now):
		return ""
	case rec.State == lease.Creating:
		return lease.Failed
	}
	return lease.Expired
}

// ended is a session with the end that it would get.
func ended(s Session, reason lease.Reason, now time.Time) Session {
	s.Ended = &lease.End{Reason: reason, At: now.UTC()}
	return s
}

// viewOf is a lease as it is shown.
func viewOf(rec lease.Record) Session {
	return Session{
		ID: rec.SessionID, ChatID: rec.ChatID, AgentID: rec.AgentID, Template: rec.Template, Provider: rec.Provider,
		SandboxID: rec.SandboxID, Status: Status(rec.State), CreatedAt: rec.CreatedAt, ExpiresAt: rec.ExpiresAt,
		VolumeHostPath: rec.VolumeHostPath, Metadata: rec.Metadata,
	}
}

// sort brings the sessions into the order of a list: oldest first.
func (r *Reaped) sort() {
	older := func(a, b Session) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(r.Ended, older)
	slices.SortFunc(r.Adopted, older)
	slices.SortFunc(r.Left, func(a, b Unended) int { return older(a.Session, b.Session) })
}

// foresee says what a reap would do now. It holds the lock of the state directory, and
// changes nothing in it.
func foresee(ctx context.Context, cfg *config.Config, opts Options) (Reaped, error) {
	dir, err := statedir.Open(cfg.StateDir, cfg.Owner)
	if err != nil {
		return Reaped{}, fmt.Errorf("host: %w", err)
	}
	defer dir.Close()
	x, err := lease.Examine(ctx, dir.Leases())
	if err == nil && x.Owner != "" && x.Owner != dir.Owner() {
		err = fmt.Errorf("the leases belong to owner %q, and this host is %q: set owner back", x.Owner, dir.Owner())
	}
	if err != nil {
		return Reaped{}, fmt.Errorf("host: %w", err)
	}
	found, err := survey(ctx, cfg, opts, dir.Owner(), x.Records, reapPatience)
	if err != nil {
		return Reaped{}, fmt.Errorf("host: %w", err)
	}
	r := look(cfg, dir.Owner(), x, found, time.Now()).Reaped
	r.DamagedStore, r.LostStore = x.Damage, !x.Exists && lost(dir.Used(), x.SetAside)
	return r, nil
}
