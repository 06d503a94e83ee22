package docker

import (
	"fmt"

	"github.com/berth-dev/berth/sdk/provider"
)

// checkFence refuses a container that is not the one that the caller means. A session
// label that is no UUID is another's, whoever asks: such a container is the operator's to
// remove.
func checkFence(labels map[string]string, fence provider.Fence) error {
	owner, owned := labels[labelOwner]
	session, ok := labels[labelSessionID]
	if id, err := readUUID(session); err == nil {
		session = id // the caller's is canonical
	}
	switch {
	case owned && owner != "" && owner != fence.Owner:
		return refusal(provider.Conflict, "", "", "", fmt.Sprintf("it belongs to owner %s, not to %s", owner, fence.Owner))
	case ok && session != "" && session != fence.SessionID:
		return refusal(provider.Conflict, "", "", "", fmt.Sprintf("it is of session %s, not of %s", session, fence.SessionID))
	case owner == "" && !fence.Adopted:
		return refusal(provider.Conflict, "", "", "", "it bears no owner and was not adopted")
	}
	return nil
}
