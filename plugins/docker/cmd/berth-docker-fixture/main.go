// Command berth-docker-fixture makes and removes, through the daemon's API, the image
// and the network that the demo and the tests use. It needs no docker command.
//
//	berth-docker-fixture ping
//	berth-docker-fixture up   --image NAME --network NAME --agent PATH [--user UID:GID]
//	berth-docker-fixture down --image NAME --network NAME [--label KEY=VALUE]…
//
// ping ends with 0 when a daemon answers, and else tells why none does.
// down also removes the containers that bear one of the labels. Neither touches an
// image or a network that it did not make.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0 done, 1 failed, 2 a command line that can't be read.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	var f dockertest.Fixture
	flags := flag.NewFlagSet("berth-docker-fixture ping|up|down", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&f.Image, "image", "", "name of the image")
	flags.StringVar(&f.Network, "network", "", "name of the network")
	flags.StringVar(&f.Agent, "agent", "", "path of the static binary that the image runs (up)")
	flags.StringVar(&f.User, "user", "", "user of the image (up)")
	flags.Func("label", "key=value of containers to remove (down); may be repeated", func(s string) error {
		if key, value, ok := strings.Cut(s, "="); !ok || key == "" || value == "" {
			return fmt.Errorf("want key=value")
		}
		f.Labels = append(f.Labels, s)
		return nil
	})
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	if verb != "ping" && verb != "up" && verb != "down" {
		fmt.Fprintln(stderr, "berth-docker-fixture: the first argument must be ping, up or down")
		return 2
	}
	switch err := flags.Parse(args); {
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "berth-docker-fixture: unexpected argument %q\n", flags.Arg(0))
		return 2
	case verb == "up" && f.Image != "" && f.Agent == "":
		fmt.Fprintln(stderr, "berth-docker-fixture: --image wants --agent")
		return 2
	}
	api, err := dockertest.Connect()
	if err == nil {
		defer api.Close()
		switch verb {
		case "ping":
			_, err = api.Ping(ctx)
		case "up":
			err = dockertest.Up(ctx, api, f)
		default:
			err = dockertest.Down(ctx, api, f)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "berth-docker-fixture: %s: %v\n", verb, err)
		return 1
	}
	return 0
}
