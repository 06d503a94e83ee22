package providertest_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest/mem"
	"github.com/berth-dev/berth/sdk/providertest/suite"
)

// A program makes the checks with a report in the place of a *testing.T. This provider has
// a fault: it gives an id a second time.
func Example() {
	backend := mem.NewBackend("example")
	backend.Break(mem.ReusesIDs)

	var out strings.Builder
	r := suite.NewReport(context.Background(), &out)
	r.Run("bare", func(t suite.T) {
		suite.Check(t, suite.Bare(func() provider.Plugin { return mem.Plugin(backend) }), suite.Options{
			Only: []string{"create is idempotent", "an id names one incarnation"},
		})
	})
	r.Finish()
	for _, res := range r.Results() {
		fmt.Fprintln(os.Stdout, res.Status, res.Name)
	}
	// Output:
	// passed bare/create is idempotent
	// failed bare/an id names one incarnation
}
