package conformance_test

import (
	"context"
	"fmt"
	"os"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/conformance"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

// The options are what the author knows of the provider; the file that an operator gives says
// where the backend is, and what a sandbox is made from.
func ExampleVerb() {
	verb := conformance.Verb(suite.Options{
		Spec:        provider.Spec{Image: "sandbox", Port: 8000},
		Generations: 50,
	})
	// A plugin's main is: sdk.Serve(plugin, verb)
	fmt.Println(verb.Name, verb.Args)
	fmt.Println(verb.Doc)

	plugin := mem.Plugin(mem.NewBackend("example"))
	status := verb.Run(context.Background(), sdk.Hand{Plugin: plugin, Args: []string{"one.json", "two.json"}, Out: os.Stdout, Err: os.Stdout})
	fmt.Println(status == sdk.StatusUsage)
	// Output:
	// conformance [FILE|-]
	// put this provider to the conformance suite, on the backend that the settings name
	// conformance: give one FILE with settings, as for validate, or - for standard input
	// true
}
