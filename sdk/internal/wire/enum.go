package wire

import (
	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// enum pairs the names of the contract with the numbers of the messages. A name or a
// number that is not in it becomes the zero value, and the caller decides what that means.
type enum[N ~string, P ~int32] struct {
	numbers map[N]P
	names   map[P]N
}

func newEnum[N ~string, P ~int32](numbers map[N]P) enum[N, P] {
	names := make(map[P]N, len(numbers))
	for n, p := range numbers {
		names[p] = n
	}
	return enum[N, P]{numbers, names}
}

func (e enum[N, P]) number(n N) P { return e.numbers[n] }

func (e enum[N, P]) name(p P) N { return e.names[p] }

// known reports whether p is a number that means something; 0 does not.
func (e enum[N, P]) known(p P) bool {
	_, ok := e.names[p]
	return ok
}

var (
	classes = newEnum(map[provider.Class]pb.ErrorClass{
		provider.NotFound:        pb.ErrorClass_ERROR_CLASS_NOT_FOUND,
		provider.Conflict:        pb.ErrorClass_ERROR_CLASS_CONFLICT,
		provider.Unavailable:     pb.ErrorClass_ERROR_CLASS_UNAVAILABLE,
		provider.InvalidArgument: pb.ErrorClass_ERROR_CLASS_INVALID_ARGUMENT,
		provider.Unsupported:     pb.ErrorClass_ERROR_CLASS_UNSUPPORTED,
		provider.Exhausted:       pb.ErrorClass_ERROR_CLASS_EXHAUSTED,
		provider.Canceled:        pb.ErrorClass_ERROR_CLASS_CANCELED,
		provider.Internal:        pb.ErrorClass_ERROR_CLASS_INTERNAL,
	})
	outcomes = newEnum(map[provider.Outcome]pb.Outcome{
		provider.OutcomeCreated:  pb.Outcome_OUTCOME_CREATED,
		provider.OutcomeAdopted:  pb.Outcome_OUTCOME_ADOPTED,
		provider.OutcomeStopped:  pb.Outcome_OUTCOME_STOPPED,
		provider.OutcomeDeleted:  pb.Outcome_OUTCOME_DELETED,
		provider.OutcomeNotFound: pb.Outcome_OUTCOME_NOT_FOUND,
	})
	states = newEnum(map[provider.State]pb.State{
		provider.StateCreated: pb.State_STATE_CREATED,
		provider.StateRunning: pb.State_STATE_RUNNING,
		provider.StatePaused:  pb.State_STATE_PAUSED,
		provider.StateExited:  pb.State_STATE_EXITED,
		provider.StateUnknown: pb.State_STATE_UNKNOWN,
	})
	types = newEnum(map[provider.Type]pb.AttributeType{
		provider.TypeString:     pb.AttributeType_ATTRIBUTE_TYPE_STRING,
		provider.TypeBool:       pb.AttributeType_ATTRIBUTE_TYPE_BOOL,
		provider.TypeInt:        pb.AttributeType_ATTRIBUTE_TYPE_INT,
		provider.TypeNumber:     pb.AttributeType_ATTRIBUTE_TYPE_NUMBER,
		provider.TypeDuration:   pb.AttributeType_ATTRIBUTE_TYPE_DURATION,
		provider.TypeBytes:      pb.AttributeType_ATTRIBUTE_TYPE_BYTES,
		provider.TypeStringList: pb.AttributeType_ATTRIBUTE_TYPE_STRING_LIST,
		provider.TypeStringMap:  pb.AttributeType_ATTRIBUTE_TYPE_STRING_MAP,
	})
	severities = newEnum(map[provider.Severity]pb.Severity{
		provider.SeverityError:   pb.Severity_SEVERITY_ERROR,
		provider.SeverityWarning: pb.Severity_SEVERITY_WARNING,
	})
	swaps = newEnum(map[provider.SwapPolicy]pb.SwapPolicy{
		provider.SwapAuto:    pb.SwapPolicy_SWAP_POLICY_AUTO,
		provider.SwapRequire: pb.SwapPolicy_SWAP_POLICY_REQUIRE,
	})
	eventKinds = newEnum(map[provider.EventKind]pb.EventKind{
		provider.EventStarted:  pb.EventKind_EVENT_KIND_STARTED,
		provider.EventExited:   pb.EventKind_EVENT_KIND_EXITED,
		provider.EventRemoved:  pb.EventKind_EVENT_KIND_REMOVED,
		provider.EventProgress: pb.EventKind_EVENT_KIND_PROGRESS,
	})
)
