package docker

import (
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

// A fence holds, and an outcome is true, whether the container is remembered or asked for.
func TestDeleteRemembersWhatItMade(t *testing.T) {
	t.Parallel()
	for name, forgotten := range map[string]bool{"remembered": false, "forgotten": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{})
			spec := r.newSpec()
			id := r.create(spec).Sandbox.ID
			if r.made.get(id) == nil {
				t.Fatal("a container that was made is not remembered")
			}
			if forgotten {
				r.made.forget(id)
			}
			for _, f := range []provider.Fence{
				{Owner: "somebody-else", SessionID: spec.SessionID},
				{Owner: spec.Owner, SessionID: spec.ChatID},
			} {
				_, err := r.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: f})
				if provider.ClassOf(err) != provider.Conflict {
					t.Errorf("fence %+v: %v, want a conflict", f, err)
				}
			}
			r.inspectRaw(id) // it is still there

			for _, want := range []provider.Outcome{provider.OutcomeDeleted, provider.OutcomeNotFound} {
				got, err := r.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: fence(spec)})
				if err != nil || got.Outcome != want {
					t.Errorf("delete: %q, %v; want %q", got.Outcome, err, want)
				}
			}
			if r.made.get(id) != nil {
				t.Error("a container that is gone is remembered")
			}
			r.wantNothing(spec)
		})
	}
}

// A container that somebody else removed is not_found, and no longer remembered.
func TestDeleteOfWhatSomebodyElseRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	spec := r.newSpec()
	id := r.create(spec).Sandbox.ID
	r.removeByName(spec.Name)
	got, err := r.Delete(t.Context(), provider.DeleteRequest{ID: id, Fence: fence(spec)})
	if err != nil || got.Outcome != provider.OutcomeNotFound {
		t.Errorf("delete: %q, %v; want %q", got.Outcome, err, provider.OutcomeNotFound)
	}
	if r.made.get(id) != nil {
		t.Error("a container that is gone is remembered")
	}
}
