package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

// hostEnv holds a hostOrder, as JSON, for a process that is to be a host.
const hostEnv = "BERTH_PROVIDERTEST_HOST"

// hostOrder is what a host process does: it starts a plugin, creates a sandbox, and lives
// until it is killed.
type hostOrder struct {
	Launch  launch.Options
	Config  []byte
	Owner   string
	Spec    provider.Spec
	Timeout time.Duration
}

// ActAsHost makes this process a host with one plugin, when the suite has started it as
// one; it then never returns. Else it does nothing. A program that can be one calls it
// before all else; see Options.Host.
func ActAsHost() {
	order, ok := os.LookupEnv(hostEnv)
	if !ok {
		return
	}
	if err := beHost([]byte(order)); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1) // a host that does its work is killed
}

func beHost(data []byte) error {
	var o hostOrder
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.Timeout)
	defer cancel()
	p, err := launch.Start(ctx, o.Launch)
	if err != nil {
		return err
	}
	defer p.Kill()
	if _, err := p.Plugin().Configure(ctx, provider.ConfigureRequest{Config: o.Config, Owner: o.Owner}); err != nil {
		return err
	}
	if _, err := p.Plugin().Provider().Create(ctx, o.Spec); err != nil {
		return err
	}
	fmt.Println(p.PID())
	<-p.Done()
	return p.Err()
}
