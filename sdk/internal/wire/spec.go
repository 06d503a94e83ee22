package wire

import (
	"fmt"

	pb "github.com/berth-dev/berth/proto/provider/v1"
	"github.com/berth-dev/berth/sdk/provider"
)

func specToProto(s provider.Spec) *pb.Spec {
	return &pb.Spec{
		Name: s.Name, Owner: s.Owner, SessionId: s.SessionID, ChatId: s.ChatID, AgentId: s.AgentID,
		Template: s.Template, RequestHash: s.RequestHash,
		CreatedAt: timestamp(s.CreatedAt), ExpiresAt: timestamp(s.ExpiresAt),
		Image: s.Image, Digest: s.Digest, Command: s.Command, Env: each(s.Env, envToProto),
		VolumeHostPath: s.VolumeHostPath, Mounts: each(s.Mounts, mountToProto),
		Network: s.Network, Port: int64(s.Port), Publish: s.Publish, Resources: resourcesToProto(s.Resources),
		Config: s.Config, ConfirmStart: s.ConfirmStart,
	}
}

func specFromProto(m *pb.Spec) (provider.Spec, error) {
	res, err := resourcesFromProto(m.GetResources())
	if err != nil {
		return provider.Spec{}, err
	}
	return provider.Spec{
		Name: m.GetName(), Owner: m.GetOwner(), SessionID: m.GetSessionId(), ChatID: m.GetChatId(), AgentID: m.GetAgentId(),
		Template: m.GetTemplate(), RequestHash: m.GetRequestHash(),
		CreatedAt: instant(m.GetCreatedAt()), ExpiresAt: instant(m.GetExpiresAt()),
		Image: m.GetImage(), Digest: m.GetDigest(), Command: m.GetCommand(), Env: each(m.GetEnv(), envFromProto),
		VolumeHostPath: m.GetVolumeHostPath(), Mounts: each(m.GetMounts(), mountFromProto),
		Network: m.GetNetwork(), Port: int(m.GetPort()), Publish: m.GetPublish(), Resources: res,
		Config: m.GetConfig(), ConfirmStart: m.GetConfirmStart(),
	}, nil
}

func envToProto(e provider.EnvVar) *pb.EnvVar { return &pb.EnvVar{Name: e.Name, Value: e.Value} }

func envFromProto(m *pb.EnvVar) provider.EnvVar {
	return provider.EnvVar{Name: m.GetName(), Value: m.GetValue()}
}

func mountToProto(t provider.Mount) *pb.Mount {
	return &pb.Mount{Name: t.Name, Source: t.Source, Target: t.Target, ReadOnly: t.ReadOnly}
}

func mountFromProto(m *pb.Mount) provider.Mount {
	return provider.Mount{Name: m.GetName(), Source: m.GetSource(), Target: m.GetTarget(), ReadOnly: m.GetReadOnly()}
}

func resourcesToProto(r provider.Resources) *pb.Resources {
	return &pb.Resources{MemoryBytes: r.MemoryBytes, NanoCpus: r.NanoCPUs, Pids: r.Pids, Swap: swaps.number(r.Swap)}
}

// resourcesFromProto refuses a swap policy that it does not know: it could not be enforced.
func resourcesFromProto(m *pb.Resources) (provider.Resources, error) {
	swap := m.GetSwap()
	if swap != pb.SwapPolicy_SWAP_POLICY_UNSPECIFIED && !swaps.known(swap) {
		return provider.Resources{}, &provider.Error{Class: provider.Unsupported,
			Message: fmt.Sprintf("swap policy %s is not known to this plugin: use a newer one", swap)}
	}
	return provider.Resources{MemoryBytes: m.GetMemoryBytes(), NanoCPUs: m.GetNanoCpus(), Pids: m.GetPids(), Swap: swaps.name(swap)}, nil
}

func prepareToProto(r provider.PrepareRequest) *pb.PrepareRequest {
	return &pb.PrepareRequest{Image: r.Image, Config: r.Config}
}

func prepareFromProto(m *pb.PrepareRequest) provider.PrepareRequest {
	return provider.PrepareRequest{Image: m.GetImage(), Config: m.GetConfig()}
}

func preparedToProto(p provider.Prepared) *pb.PrepareResponse {
	return &pb.PrepareResponse{Digest: p.Digest, User: utf8(p.User)}
}

func preparedFromProto(m *pb.PrepareResponse) provider.Prepared {
	return provider.Prepared{Digest: m.GetDigest(), User: m.GetUser()}
}
