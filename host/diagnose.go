package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/berth-dev/berth/host/config"
	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/host/internal/lifecycle"
	"github.com/berth-dev/berth/host/internal/statedir"
)

// Level says whether a Finding wants something done.
type Level string

// The levels.
const (
	LevelOK      Level = "ok"
	LevelNote    Level = "note"    // worth knowing; a host sees to it by itself, or nothing is to be done
	LevelProblem Level = "problem" // somebody has to do something
)

// Finding is one thing that Diagnose has found.
type Finding struct {
	Level   Level
	About   string // state_dir, lock, owner, leases, sessions, sandboxes, providers, or `provider "name"`
	Message string // what was found
	Then    string // what a host does about it by itself, at its next start; "" for nothing
	Remedy  string // what the operator can do; "" for nothing
}

// Diagnosis is what Diagnose has found.
type Diagnosis struct {
	HostPID  int  // of the host that lives on the state directory; 0 when it can't be told
	HostRuns bool // then leases and plugins were left alone: that host knows better
	Findings []Finding
}

// Healthy reports whether nothing is to be done.
func (d Diagnosis) Healthy() bool {
	for _, f := range d.Findings {
		if f.Level == LevelProblem {
			return false
		}
	}
	return true
}

func (d *Diagnosis) add(level Level, about, then, remedy, format string, args ...any) {
	d.Findings = append(d.Findings, Finding{level, about, fmt.Sprintf(format, args...), then, remedy})
}

// Diagnose looks at the state directory, its leases, the plugins, and what their backends
// list, and says what it found, what a host would do about it, and what the operator can. It
// changes nothing, and keeps no host from starting. While a host lives on the state
// directory its leases are not read and no plugin is started: ask that host.
//
// Plugins run in a private temporary directory, and are gone when it returns. The error is
// for a look that could not be had; what is wrong is in the findings.
func Diagnose(ctx context.Context, cfg *config.Config, opts Options) (Diagnosis, error) {
	opts = opts.withDefaults()
	var d Diagnosis
	sight := statedir.Look(cfg.StateDir, cfg.Owner)
	owner := cfg.Owner
	if owner == "" {
		owner = sight.Owner
	}
	d.directory(cfg, sight)
	if sight.Refuse != nil {
		return d, nil
	}
	if sight.Held {
		d.HostRuns, d.HostPID = true, sight.PID
		return d, nil
	}
	path := statedir.LeasesIn(cfg.StateDir)
	x, err := lease.Examine(ctx, path)
	if ctx.Err() != nil {
		return d, context.Cause(ctx)
	}
	if now := statedir.Look(cfg.StateDir, cfg.Owner); now.Held { // it has started meanwhile
		d = Diagnosis{HostRuns: true, HostPID: now.PID}
		d.directory(cfg, now)
		return d, nil
	}
	d.owner(cfg, sight, x)
	d.leases(path, owner, sight, x, err)
	if owner == "" {
		owner = "inspect" // nobody's: what bears no owner is not this host's
	}
	found, err := survey(ctx, cfg, opts, owner, x.Records, reapPatience)
	if ctx.Err() != nil {
		return d, context.Cause(ctx)
	}
	if err != nil {
		d.add(LevelProblem, "providers", "", "is there room for temporary files? if not, make some, or set TMPDIR to a directory that has", "their plugins can't be started for a look: %v", err)
		return d, nil
	}
	for _, f := range found {
		d.provider(f)
	}
	d.outlook(look(cfg, owner, x, found, time.Now()))
	return d, nil
}

// directory tells of the state directory and of its lock.
func (d *Diagnosis) directory(cfg *config.Config, s statedir.Sight) {
	const about = "state_dir"
	switch {
	case s.Refuse != nil:
		d.add(LevelProblem, about, "it does not start", "do what the message says", "%v", s.Refuse)
		return
	case !s.Exists:
		d.add(LevelNote, about, "it makes the directory, with a new owner id", "if there was a host before, correct state_dir",
			"%s does not exist", cfg.StateDir)
		return
	}
	const refused = "create, ensure and extend are refused"
	switch {
	case s.Unwritable != nil && s.Held:
		d.add(LevelProblem, about, refused+"; what should end, ends", "do what the message says", "%v", s.Unwritable)
	case s.Unwritable != nil:
		d.add(LevelProblem, about, "it does not start, and nothing ends", "do what the message says", "%v", s.Unwritable)
	default:
		d.add(LevelOK, about, "", "", "%s is this user's, and private", cfg.StateDir)
	}
	if s.Full != nil {
		d.add(LevelProblem, about, "it runs, and starts if its leases are there; what should end, ends; "+refused+" while the leases find no room",
			"make room; no restart is needed", "%v", s.Full)
	}
	switch {
	case s.Held && s.PID != 0:
		d.add(LevelOK, "lock", "", "", "the host with pid %d lives on it", s.PID)
	case s.Held:
		d.add(LevelOK, "lock", "", "", "a host lives on it")
	default:
		d.add(LevelNote, "lock", "", "start the host; until then nothing ends, unless `berth reap --expired` is run", "no host lives on it")
	}
}

// owner tells whose sandboxes are meant.
func (d *Diagnosis) owner(cfg *config.Config, s statedir.Sight, x lease.Examination) {
	switch {
	case cfg.Owner != "":
		d.add(LevelOK, "owner", "", "", "%s, by the configuration", cfg.Owner)
	case s.Owner != "":
		d.add(LevelOK, "owner", "", "", "%s", s.Owner)
	case x.Owner != "":
		d.add(LevelProblem, "owner", "it does not start on these leases", fmt.Sprintf("restore the file owner, or set owner = %q in the configuration", x.Owner),
			"the owner file is lost, and the leases are those of %q", x.Owner)
	case s.Exists:
		d.add(LevelNote, "owner", "it makes a new owner id", "if there was a host before, restore the file owner", "there is none yet")
	}
}

// leases tells of the lease store.
func (d *Diagnosis) leases(path, owner string, s statedir.Sight, x lease.Examination, err error) {
	const (
		about  = "leases"
		anew   = "every sandbox of this host is adopted, with the deadline that it bears or recovery_grace from then, whichever is later"
		extend = "extensions that were acknowledged are lost, so extend again what is to live longer"
	)
	switch {
	case err != nil:
		d.add(LevelProblem, about, "it does not start", "do what the message says", "%v", err)
	case x.Damage != "":
		d.add(LevelProblem, about, "it moves the file aside and begins a new one: "+anew, "restore nothing over it; "+extend, "%s is damaged: %s", path, x.Damage)
	case !x.Exists && lost(s.Used, x.SetAside):
		d.add(LevelProblem, about, "it begins a new store: "+anew,
			"if the file itself was moved since the last host went, put it back before one starts, and nothing older; else "+extend,
			"%s is lost: a host was here before", path)
	case !x.Exists:
		d.add(LevelNote, about, "it begins a new store; sandboxes of this host that are there are adopted", "", "there is no store yet")
	case x.Owner != "" && owner != "" && x.Owner != owner:
		d.add(LevelProblem, about, "it does not start", "set owner back, or move the file away to begin with an empty one",
			"%s belongs to owner %q, and this host is %q", path, x.Owner, owner)
	default:
		state := "is whole"
		if x.Undone != "" {
			state = "can be used"
		}
		d.add(LevelOK, about, "", "", "%s %s: %d bytes, born %s, %s", path, state, x.Size, x.Birth.Format(time.RFC3339), byState(x.Records))
	}
	if x.Undone != "" {
		d.add(LevelNote, about, "it goes by the other header, and mends this one with its next write", "extend again what was extended last",
			"one of the two headers of %s is damaged (%s): its last commit may be lost, and an extension that was acknowledged with it", path, x.Undone)
	}
	if x.Exists && x.Mode.Perm()&0o077 != 0 {
		d.add(LevelNote, about, "it sets the mode to 0600", "", "the store's mode is %04o, so that others can read it", x.Mode.Perm())
	}
	for _, aside := range x.SetAside {
		d.add(LevelNote, about, "", "nothing reads it any more: keep it for a look, or remove it", "%s was damaged, and was moved aside", aside)
	}
}

// byState counts records.
func byState(records []lease.Record) string {
	if len(records) == 0 {
		return "no sessions"
	}
	n := map[lease.State]int{}
	for _, r := range records {
		n[r.State]++
	}
	var parts []string
	for _, state := range []lease.State{lease.Creating, lease.Running, lease.Stopping, lease.Stopped, lease.Deleting, lease.Ended} {
		if n[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[state], state))
		}
	}
	return "sessions: " + strings.Join(parts, ", ")
}

// provider tells of one plugin and its backend.
func (d *Diagnosis) provider(f surveyed) {
	about := fmt.Sprintf("provider %q", f.report.Name)
	switch r := f.report; {
	case r.State == lifecycle.Ready && f.listed:
		d.add(LevelOK, about, "", "", "%s %s is launched, configured and ready; its backend is %q", r.Info.Name, r.Info.Version, r.Identity)
	case r.State == lifecycle.Ready:
		d.add(LevelProblem, about, "nothing of it is created or ended until its list is complete", "see what its backend says", "it is ready, and its sandboxes can't be listed")
	case r.Changed:
		d.add(LevelProblem, about, "its sessions are unknown, and nothing of them ends", "do what the message says", "%s", r.Reason)
	case r.State == lifecycle.Degraded:
		d.add(LevelProblem, about, "it waits for the backend; meanwhile nothing of it is created or ended", "bring its backend back", "%s", r.Reason)
	default:
		reason := r.Reason
		if reason == "" {
			reason = "its plugin has not come up in time"
		}
		d.add(LevelProblem, about, "it tries again for ever; meanwhile nothing of it is created or ended", "do what the message says", "it is %s: %s", r.State, reason)
	}
	for _, l := range f.report.Health.Limitations {
		d.add(LevelNote, about, "", "", "can't enforce here: %s: %s", l.Name, l.Reason)
	}
	for _, u := range f.unreadable {
		d.add(LevelNote, about, "it leaves it alone", "remove it by hand if it is nobody's", "the labels of sandbox %s can't be read: %s", u.ID, u.Reason)
	}
}

// outlook tells what leases and lists come to together.
func (d *Diagnosis) outlook(o outlook) {
	if n := len(o.Ended); n > 0 {
		d.add(LevelProblem, "sessions", "it ends them", "start the host, or run `berth reap --expired`",
			"%s past the deadline, or asked to end, and still there: %s", count(n, "session is", "sessions are"), firstFew(n, func(i int) string { return o.Ended[i].ID }))
	}
	if n := len(o.Left); n > 0 {
		d.add(LevelProblem, "sessions", "it ends them once their provider can be asked", "see to the provider",
			"%s past the deadline, or asked to end, and can't be ended now: %s: %s", count(n, "session is", "sessions are"),
			firstFew(n, func(i int) string { return o.Left[i].ID }), o.Left[0].Reason)
	}
	if o.missing > 0 {
		d.add(LevelNote, "sessions", "it ends them as removed, once its backend says so of each", "", "the sandboxes of %s are not on their backend's list", count(o.missing, "living session", "living sessions"))
	}
	if n := len(o.Adopted) - o.orphans; n > 0 {
		d.add(LevelNote, "sandboxes", "it adopts them, with the deadline that they bear or recovery_grace from then, whichever is later", "",
			"%s of this host, or of an owner in adopt, without a lease", count(n, "sandbox is", "sandboxes are"))
	}
	if o.orphans > 0 {
		d.add(LevelNote, "sandboxes", "it removes them after two complete lists; `berth reap` adopts them, and reaps them at their deadline", "",
			"%s of this host, younger than its store, without a lease", count(o.orphans, "sandbox is", "sandboxes are"))
	}
	if o.foreign > 0 {
		d.add(LevelNote, "sandboxes", "it leaves them alone", "if they are to be taken over, name their owner in adopt", "%s of another owner, or of none", count(o.foreign, "sandbox is", "sandboxes are"))
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// firstFew lists names.
func firstFew(n int, name func(int) string) string {
	const most = 5
	var list []string
	for i := range min(n, most) {
		list = append(list, name(i))
	}
	if n > most {
		list = append(list, fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(list, ", ")
}
