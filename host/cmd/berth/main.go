// Command berth runs a host and speaks to one.
package main

import (
	"context"
	"os"

	"github.com/berth-dev/berth/host/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
