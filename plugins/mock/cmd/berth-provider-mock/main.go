// Command berth-provider-mock is a plugin that runs nothing; see package mem.
package main

import (
	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/conformance"
	"github.com/berth-dev/berth/sdk/providertest/mem"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

func main() { sdk.Serve(mem.Main(), conformance.Verb(suite.Options{Generations: 20})) }
