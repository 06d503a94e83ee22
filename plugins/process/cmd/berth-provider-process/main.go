// Command berth-provider-process is the plugin that runs sandboxes as process trees.
package main

import (
	"github.com/berth-dev/berth/plugins/process"
	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/conformance"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

func main() { sdk.Serve(process.Plugin(), conformance.Verb(suite.Options{Generations: 20})) }
