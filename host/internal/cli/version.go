package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host/internal/build"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Tell the version of this binary", Args: cobra.NoArgs,
		Long: `Tell the version of this binary, of the Go that it was built with, and what it was built
for. No host is asked.`,
		Example: "  berth version -o json",
		RunE: func(*cobra.Command, []string) error {
			asJSON, err := a.json()
			if err != nil {
				return err
			}
			v := build.Version()
			if asJSON {
				return json.NewEncoder(a.out).Encode(map[string]string{
					"version": v, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			fmt.Fprintf(a.out, "berth %s (%s, %s/%s)\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
