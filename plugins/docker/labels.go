package docker

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// The six labels that every sandbox bears. Their keys and formats are shared with
// adapters that are not Berth's.
const (
	labelSessionID      = "session_id"       // UUID
	labelChatID         = "chat_id"          // UUID, lower case with hyphens
	labelExpiresAt      = "expires_at"       // the first deadline; see formatTime
	labelAgentID        = "agent_id"         // "" for none
	labelVolumeHostPath = "volume_host_path" // "" for none
	labelEndpointPort   = "endpoint_port"    // decimal, inside the container; "0" for none
)

// Berth's own labels. None holds a secret.
const (
	labelOwner       = "berth.owner"
	labelTemplate    = "berth.template"
	labelRequestHash = "berth.request_hash"
	labelName        = "berth.name"
	labelNetwork     = "berth.network"  // the network whose entry holds the endpoint's IP
	labelEndpoint    = "berth.endpoint" // endpointNetwork or endpointPublished
	labelImage       = "berth.image"    // as the template names it
	labelDigest      = "berth.digest"   // what it was when the sandbox was made
)

// The values of labelEndpoint.
const (
	endpointNetwork   = "network"
	endpointPublished = "published"
)

// sessionLabels are the keys that make a container a sandbox.
var sessionLabels = [...]string{
	labelSessionID, labelChatID, labelExpiresAt, labelAgentID, labelVolumeHostPath, labelEndpointPort,
}

// writeLabels makes the labels of a new sandbox.
func writeLabels(spec provider.Spec) map[string]string {
	endpoint := endpointNetwork
	if spec.Publish {
		endpoint = endpointPublished
	}
	return map[string]string{
		labelSessionID:      spec.SessionID,
		labelChatID:         spec.ChatID,
		labelExpiresAt:      formatTime(spec.ExpiresAt),
		labelAgentID:        spec.AgentID,
		labelVolumeHostPath: spec.VolumeHostPath,
		labelEndpointPort:   strconv.Itoa(spec.Port),

		labelOwner:       spec.Owner,
		labelTemplate:    spec.Template,
		labelRequestHash: spec.RequestHash,
		labelName:        spec.Name,
		labelNetwork:     spec.Network,
		labelEndpoint:    endpoint,
		labelImage:       spec.Image,
		labelDigest:      spec.Digest,
	}
}

// readLabels fills s from a container's labels and returns the port of its service. The
// error says which label can't be read; what could be read is in s all the same.
func readLabels(labels map[string]string, s *provider.Sandbox) (port int, err error) {
	s.Owner = labels[labelOwner]
	s.Template = labels[labelTemplate]
	s.RequestHash = labels[labelRequestHash]
	s.AgentID = labels[labelAgentID]
	s.VolumeHostPath = labels[labelVolumeHostPath]

	fail := func(key string, why error) {
		if err == nil {
			err = fmt.Errorf("label %s: %w", key, why)
		}
	}
	for _, key := range sessionLabels {
		if _, ok := labels[key]; !ok {
			fail(key, errMissing)
		}
	}
	var why error
	if s.SessionID, why = readUUID(labels[labelSessionID]); why != nil {
		fail(labelSessionID, why)
	}
	if s.ChatID, why = readUUID(labels[labelChatID]); why != nil {
		fail(labelChatID, why)
	}
	if s.ExpiresAt, why = parseTime(labels[labelExpiresAt]); why != nil {
		fail(labelExpiresAt, why)
	}
	if port, why = readPort(labels[labelEndpointPort]); why != nil {
		fail(labelEndpointPort, why)
	}
	return port, err
}

var errMissing = errors.New("is missing")

// readUUID accepts every spelling of a UUID and returns the canonical one.
func readUUID(s string) (string, error) {
	id, err := uuid.Parse(s)
	if err != nil || len(s) == len("{}")+36 && (s[0] != '{' || s[37] != '}') {
		return "", fmt.Errorf("%q is not a UUID", s)
	}
	return id.String(), nil
}

// readPort reads a decimal port; 0 is none.
func readPort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port from 0 to 65535", s)
	}
	return int(n), nil
}
