// Command berth-provider-docker is the plugin that runs sandboxes as Docker containers.
package main

import (
	"github.com/berth-dev/berth/plugins/docker"
	"github.com/berth-dev/berth/sdk"
)

func main() { sdk.Serve(docker.Plugin()) }
