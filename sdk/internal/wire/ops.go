package wire

import "github.com/berth-dev/berth/sdk/provider"

// The verbs, as errors name them.
const (
	opInfo      = "info"
	opSchemas   = "schemas"
	opValidate  = "validate"
	opConfigure = "configure"
	opDrain     = "drain"
	opPrepare   = "prepare"
	opCreate    = "create"
	opGet       = "get"
	opList      = "list"
	opStop      = "stop"
	opDelete    = "delete"
	opHealth    = "health"
	opIdentity  = "identity"
	opLogs      = "logs"
	opEvents    = "events"
)

func nameOf(r provider.Ref) string {
	if r.ID != "" {
		return r.ID
	}
	return r.Name
}
