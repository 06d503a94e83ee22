// Command berth-provider-docker is the plugin that runs sandboxes as Docker containers.
package main

import (
	"github.com/berth-dev/berth/plugins/docker"
	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/conformance"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

func main() { sdk.Serve(docker.Plugin(), conformance.Verb(suite.Options{Generations: 20})) }
