package docker

import "go.opentelemetry.io/otel/attribute"

// The names of the spans, and their attributes that are Docker's. Dashboards know them; see
// package spans for the others.
const (
	spanCreate = "adapter.docker.create_sandbox"
	spanStop   = "adapter.docker.stop_sandbox"
	spanDelete = "adapter.docker.delete_sandbox"
	spanList   = "adapter.docker.list_active_sandboxes"

	attrContainerID    = attribute.Key("container.id")
	attrContainerCount = attribute.Key("sandbox.container_count")
)
