package docker

import (
	"context"

	"github.com/docker/docker/api/types/system"

	"github.com/berth-dev/berth/sdk/provider"
)

// Identity asks the daemon who it is; see [provider.Provider].
func (p *Provider) Identity(ctx context.Context) (string, error) {
	info, err := p.daemon.askInfo(ctx)
	if err != nil {
		return "", p.failure(ctx, "identity", "", "", "the daemon did not tell who it is", err)
	}
	return identityOf(info)
}

// knownIdentity tells which daemon the connections of now lead to.
func (p *Provider) knownIdentity(ctx context.Context) (string, error) {
	info, err := p.daemon.knownInfo(ctx)
	if err != nil {
		return "", err
	}
	return identityOf(info)
}

// identityOf is the engine's id and its root directory, such as "7TJZ:…@/var/lib/docker".
// The id alone is not enough: engines before 23.0 take it from /etc/docker/key.json, which
// all daemons of one machine share, and containers live in the root directory.
func identityOf(info system.Info) (string, error) {
	switch {
	case info.ID == "":
		return "", refusal(provider.Internal, "identity", "", "", "the daemon has no engine id")
	case info.DockerRootDir == "":
		return "", refusal(provider.Internal, "identity", "", "", "the daemon has no root directory")
	}
	return info.ID + "@" + info.DockerRootDir, nil
}
