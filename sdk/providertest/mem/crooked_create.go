package mem

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// raceWindow is how long one create looks away from the others.
const raceWindow = 20 * time.Millisecond

func (c *crookedProvider) Prepare(ctx context.Context, req provider.PrepareRequest) (provider.Prepared, error) {
	p, err := c.Provider.Prepare(ctx, req)
	c.deaf(ctx)
	switch c.breach {
	case PrepareTellsNothing:
		p.Digest = ""
	case PrepareMakes:
		if err == nil {
			c.b.Put(provider.Sandbox{Owner: c.owner, SessionID: "warm"})
		}
	}
	return p, err
}

func (c *crookedProvider) Create(ctx context.Context, spec provider.Spec) (provider.Created, error) {
	c.deaf(ctx)
	if err := c.beforeCreate(spec); err != nil {
		return provider.Created{}, err
	}
	was, known := c.look(spec.Name)
	answer, err := c.create(ctx, spec, was, known)
	if err != nil {
		return provider.Created{}, c.leave(ctx, spec, was, known, err)
	}
	c.mu.Lock()
	c.own[answer.Sandbox.ID] = true
	c.mu.Unlock()
	return c.answer(answer), nil
}

// look returns what has a name.
func (c *crookedProvider) look(name string) (s provider.Sandbox, known bool) {
	c.b.change(func() error {
		if x := c.b.byName(name); x != nil {
			s, known = x.Sandbox, true
		}
		return nil
	})
	return s, known
}

// beforeCreate is what goes wrong before anything is made.
func (c *crookedProvider) beforeCreate(spec provider.Spec) error {
	switch c.breach {
	case CancelJams:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.jammed[spec.Name] {
			return fail(provider.Conflict, Create, spec.SessionID, "the name %q is in use", spec.Name)
		}
	case Prints:
		fmt.Println("creating", spec.Name)
	case MadeInHalves:
		half := c.b.Put(provider.Sandbox{Owner: spec.Owner, Unreadable: "session_id: is missing"})
		pause(raceWindow) // a kill is meant to come now
		c.b.Vanish(half)
	}
	return nil
}

// create makes the sandbox, by other rules than the contract's.
func (c *crookedProvider) create(ctx context.Context, spec provider.Spec, was provider.Sandbox, known bool) (provider.Created, error) {
	adopt := func() (provider.Created, error) {
		return provider.Created{Outcome: provider.OutcomeAdopted, Sandbox: was, Identity: c.b.identity}, nil
	}
	same := known && was.Owner == spec.Owner && was.SessionID == spec.SessionID
	switch {
	case c.breach == CreatesTwice && known,
		c.breach == CreatesRace && !known:
		if c.breach == CreatesRace {
			pause(raceWindow) // the others look, too, and see nothing
		}
		aside := spec
		aside.Name = fmt.Sprintf("%s-%d", spec.Name, time.Now().UnixNano())
		made, err := c.Provider.Create(ctx, aside)
		c.b.edit(made.Sandbox.ID, func(x *box) bool { x.Sandbox.Name = spec.Name; return true })
		made.Sandbox.Name = spec.Name
		return made, err
	case c.breach == AdoptsEnded && same && was.State == provider.StateExited,
		c.breach == AdoptsOtherRequests && same,
		c.breach == AdoptsOtherOwners && known && was.RequestHash == spec.RequestHash:
		return adopt()
	case c.breach == ConflictDestroys && known && !same:
		c.b.Vanish(was.ID)
		return provider.Created{}, fail(provider.Conflict, Create, spec.SessionID, "the name %q is taken", spec.Name)
	case c.breach == Forgets && known && !c.mine(was.ID):
		c.b.Vanish(was.ID)
	}
	kept := c.kept(spec)
	made, err := c.Provider.Create(ctx, kept)
	if err == nil && c.breach == ReusesIDs && made.Outcome == provider.OutcomeCreated {
		id := "mem-" + spec.Name
		c.b.edit(made.Sandbox.ID, func(x *box) bool { x.Sandbox.ID = id; return true })
		made.Sandbox.ID = id
	}
	return made, err
}

// mine reports whether this generation has made a sandbox.
func (c *crookedProvider) mine(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own[id]
}

// kept is what the backend keeps of a Spec.
func (c *crookedProvider) kept(spec provider.Spec) provider.Spec {
	each := func(f func(string) string) {
		spec.AgentID, spec.VolumeHostPath, spec.Template = f(spec.AgentID), f(spec.VolumeHostPath), f(spec.Template)
	}
	switch c.breach {
	case LabelsTrimmed:
		each(strings.TrimSpace)
	case LabelsCut:
		each(func(s string) string { return s[:min(len(s), 255)] })
	case LabelsPlain:
		each(func(s string) string {
			return strings.Map(func(r rune) rune {
				if r > 0x7e {
					return '?'
				}
				return r
			}, s)
		})
	case TimesRounded:
		spec.ExpiresAt = spec.ExpiresAt.Truncate(time.Millisecond)
	}
	return spec
}

// leave is what a failed create leaves behind. It returns the error.
func (c *crookedProvider) leave(ctx context.Context, spec provider.Spec, was provider.Sandbox, known bool, err error) error {
	leaves := c.breach == FailureLeaves && ctx.Err() == nil || c.breach == CancelLeaves && ctx.Err() != nil
	if leaves && !known && provider.ClassOf(err) != provider.Conflict {
		c.b.Put(provider.Sandbox{Name: spec.Name, Owner: spec.Owner, SessionID: spec.SessionID, RequestHash: spec.RequestHash, ExpiresAt: spec.ExpiresAt})
	}
	if c.breach == CancelJams && ctx.Err() != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.jammed[spec.Name] = true
	}
	return err
}

// answer is what the host hears of a sandbox that was made.
func (c *crookedProvider) answer(a provider.Created) provider.Created {
	switch c.breach {
	case SaysCreated:
		a.Outcome = provider.OutcomeCreated
	case AnswersNothing:
		a.Sandbox = provider.Sandbox{}
	case AnswersNoID:
		a.Sandbox.ID = ""
	case AnswersAnother:
		a.Sandbox.SessionID = "another"
	case AnswersTooSoon:
		a.Sandbox.State = provider.StateCreated
	case AnswersNoEndpoint:
		a.Sandbox.Endpoint = nil
	case IdentityInvented:
		a.Identity = "another backend"
	}
	return a
}

// die ends the process, with the breach Dies.
func (c *crookedProvider) die() {
	if c.breach == Dies {
		os.Exit(3)
	}
}
