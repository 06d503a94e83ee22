package lease

import "github.com/berth-dev/berth/host/internal/api"

// The words of a record that callers see too.
type (
	Endpoint = api.Endpoint
	Reason   = api.Reason
	End      = api.End
)

// The reasons.
const (
	Expired   = api.ReasonExpired
	Deleted   = api.ReasonDeleted
	Exited    = api.ReasonExited
	OOMKilled = api.ReasonOOMKilled
	Removed   = api.ReasonRemoved
	Failed    = api.ReasonFailed
	Lost      = api.ReasonLost
)
