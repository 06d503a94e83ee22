//go:build linux

package process

import "go.opentelemetry.io/otel/attribute"

// The names of the spans, and their attributes that are this provider's: those of the Docker
// provider, with this one's name and "sandbox" for "container". See package spans.
const (
	spanCreate = "adapter.process.create_sandbox"
	spanStop   = "adapter.process.stop_sandbox"
	spanDelete = "adapter.process.delete_sandbox"
	spanList   = "adapter.process.list_active_sandboxes"

	attrSandboxID    = attribute.Key("sandbox.id")
	attrSandboxCount = attribute.Key("sandbox.sandbox_count")
)
