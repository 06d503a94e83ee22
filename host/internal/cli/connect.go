package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host/client"
	"github.com/berth-dev/berth/host/config"
)

// dial is a client of the host that the command line means. It reaches nobody yet. The
// caller closes it.
func (a *app) dial(cmd *cobra.Command, opts ...client.Option) (*client.Client, error) {
	socket, err := a.socketPath(cmd)
	if err != nil {
		return nil, err
	}
	return client.New(socket, opts...), nil
}

// socketPath is --socket, else $BERTH_SOCKET, else control.socket of the configuration,
// else that of an empty one. A configuration that somebody named has to be readable. One
// that only happens to lie here is passed over when it is refused, for it may be another
// program's, and that is said.
func (a *app) socketPath(cmd *cobra.Command) (string, error) {
	if a.socket != "" {
		return a.socket, nil
	}
	if s := os.Getenv("BERTH_SOCKET"); s != "" {
		return s, nil
	}
	if cmd.Flags().Changed("config") {
		cfg, err := a.load()
		if err != nil {
			return "", err
		}
		return cfg.Control.Socket, nil
	}
	here, diags := config.Load(a.configPath)
	if !diags.HasErrors() {
		return here.Control.Socket, nil
	}
	standard, refusal := config.Parse(nil, "")
	if refusal.HasErrors() {
		return "", usage(errors.New("there is no default socket, for neither XDG_STATE_HOME nor HOME is set; give --socket or --config"))
	}
	if _, err := os.Stat(a.configPath); !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(a.err, "berth: %s is passed over, for it is refused (see berth validate); the socket is %s\n", a.configPath, standard.Control.Socket)
	}
	return standard.Control.Socket, nil
}
