package wire

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

// outcomeFromProto refuses an outcome that the verb can't have.
func outcomeFromProto(m pb.Outcome, allowed ...provider.Outcome) (provider.Outcome, error) {
	o := outcomes.name(m)
	if !slices.Contains(allowed, o) {
		return "", fmt.Errorf("the plugin answered with the outcome %s, where only %q are possible", m, allowed)
	}
	return o, nil
}

func createdToProto(c provider.Created) *pb.CreateResponse {
	return &pb.CreateResponse{Outcome: outcomes.number(c.Outcome), Sandbox: sandboxToProto(c.Sandbox), Identity: utf8(c.Identity)}
}

func createdFromProto(m *pb.CreateResponse) (provider.Created, error) {
	o, err := outcomeFromProto(m.GetOutcome(), provider.OutcomeCreated, provider.OutcomeAdopted)
	if err != nil {
		return provider.Created{}, err
	}
	if m.GetSandbox() == nil {
		return provider.Created{}, errNoSandbox
	}
	return provider.Created{Outcome: o, Sandbox: sandboxFromProto(m.GetSandbox()), Identity: m.GetIdentity()}, nil
}

var errNoSandbox = errors.New("the plugin answered without a sandbox")

func fenceToProto(f provider.Fence) *pb.Fence {
	return &pb.Fence{Owner: f.Owner, SessionId: f.SessionID, Adopted: f.Adopted}
}

func fenceFromProto(m *pb.Fence) provider.Fence {
	return provider.Fence{Owner: m.GetOwner(), SessionID: m.GetSessionId(), Adopted: m.GetAdopted()}
}

func stopToProto(r provider.StopRequest) *pb.StopRequest {
	return &pb.StopRequest{Id: r.ID, Fence: fenceToProto(r.Fence), Grace: durationpb.New(r.Grace)}
}

func stopFromProto(m *pb.StopRequest) provider.StopRequest {
	return provider.StopRequest{ID: m.GetId(), Fence: fenceFromProto(m.GetFence()), Grace: m.GetGrace().AsDuration()}
}

func stoppedToProto(s provider.Stopped) *pb.StopResponse {
	return &pb.StopResponse{Outcome: outcomes.number(s.Outcome), Exit: exitToProto(s.Exit)}
}

func stoppedFromProto(m *pb.StopResponse) (provider.Stopped, error) {
	o, err := outcomeFromProto(m.GetOutcome(), provider.OutcomeStopped, provider.OutcomeNotFound)
	if err != nil {
		return provider.Stopped{}, err
	}
	return provider.Stopped{Outcome: o, Exit: exitFromProto(m.GetExit())}, nil
}

func deleteToProto(r provider.DeleteRequest) *pb.DeleteRequest {
	return &pb.DeleteRequest{Id: r.ID, Fence: fenceToProto(r.Fence)}
}

func deleteFromProto(m *pb.DeleteRequest) provider.DeleteRequest {
	return provider.DeleteRequest{ID: m.GetId(), Fence: fenceFromProto(m.GetFence())}
}

func deletedToProto(d provider.Deleted) *pb.DeleteResponse {
	return &pb.DeleteResponse{Outcome: outcomes.number(d.Outcome)}
}

func deletedFromProto(m *pb.DeleteResponse) (provider.Deleted, error) {
	o, err := outcomeFromProto(m.GetOutcome(), provider.OutcomeDeleted, provider.OutcomeNotFound)
	if err != nil {
		return provider.Deleted{}, err
	}
	return provider.Deleted{Outcome: o}, nil
}

func healthToProto(h provider.Health) *pb.HealthResponse {
	return &pb.HealthResponse{Available: h.Available, Message: utf8(h.Message), Version: utf8(h.Version), Identity: utf8(h.Identity),
		Limitations: each(h.Limitations, func(l provider.Limitation) *pb.Limitation {
			return &pb.Limitation{Name: utf8(l.Name), Reason: utf8(l.Reason)}
		})}
}

func healthFromProto(m *pb.HealthResponse) provider.Health {
	return provider.Health{Available: m.GetAvailable(), Message: m.GetMessage(), Version: m.GetVersion(), Identity: m.GetIdentity(),
		Limitations: each(m.GetLimitations(), func(l *pb.Limitation) provider.Limitation {
			return provider.Limitation{Name: l.GetName(), Reason: l.GetReason()}
		})}
}
