package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config/configfile"
	fromfile "github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/docker/docker/api/types/registry"

	"github.com/berth-dev/berth/sdk/provider"
)

const (
	// hubKey is what Docker's configuration calls the registry of docker.io.
	hubKey = "https://index.docker.io/v1/"

	// helperBound is how long a credential helper may take.
	helperBound = 30 * time.Second

	// helperLeave is how long a helper that was killed may keep its output open.
	helperLeave = time.Second

	// tokenUser is the user's name that a helper gives with an identity token.
	tokenUser = "<token>"
)

// login is what a registry is shown for a pull, and where that was found.
type login struct {
	auth string // as the daemon takes it; "" for nothing. It is a secret: only for the daemon
	host string // the registry
	file string // Docker's configuration, whether it exists or not; "" when there is no home
}

// loginFor finds the credentials for an image's registry where Docker keeps them. It reads
// the file each time, so a new login needs no restart. No credentials are no error.
func loginFor(ctx context.Context, name string) (login, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return login{}, err
	}
	found := login{host: reference.Domain(named), file: dockerConfigFile()}
	if found.file == "" {
		return found, nil
	}
	text, err := os.ReadFile(found.file)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	config := configfile.New(found.file)
	if err == nil {
		err = config.LoadFromReader(bytes.NewReader(text))
	}
	if err != nil {
		return found, &provider.Error{Class: provider.InvalidArgument, Err: err,
			Message: fmt.Sprintf("the registry credentials in %s can't be read; repair that file, or name another directory in DOCKER_CONFIG", found.file)}
	}
	key := found.host
	if key == "docker.io" {
		key = hubKey
	}
	var auth types.AuthConfig
	if helper := helperFor(config, key); helper != "" {
		auth, err = found.askHelper(ctx, helper, key)
	} else {
		auth, err = fromfile.NewFileStore(config).Get(key)
	}
	if err != nil {
		return found, err
	}
	found.auth, err = encodeLogin(key, auth)
	return found, err
}

// dockerConfigFile is where Docker's own client keeps its configuration.
func dockerConfigFile() string {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json")
}

// helperFor names the credential helper of a registry, "" where the file itself has them.
func helperFor(config *configfile.ConfigFile, key string) string {
	if helper, ok := config.CredentialHelpers[key]; ok {
		return helper
	}
	return config.CredentialsStore
}

// encodeLogin makes what the daemon takes; "" of nothing.
func encodeLogin(key string, auth types.AuthConfig) (string, error) {
	out := registry.AuthConfig{Username: auth.Username, Password: auth.Password,
		IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken}
	if out == (registry.AuthConfig{}) {
		return "", nil
	}
	out.ServerAddress = key
	return registry.EncodeAuthConfig(out)
}

// askHelper asks a credential helper. What it prints may hold secrets: nothing of it is
// ever in an error. A helper stays in the plugin's process group, so that it can't outlive
// the plugin; when ctx is done or it takes too long, it is killed.
func (l login) askHelper(ctx context.Context, helper, key string) (types.AuthConfig, error) {
	bound, cancel := context.WithTimeout(ctx, helperBound)
	defer cancel()
	program := "docker-credential-" + helper
	cmd := exec.CommandContext(bound, program, credentials.ActionGet)
	cmd.Stdin = strings.NewReader(key)
	cmd.WaitDelay = helperLeave
	out, err := cmd.Output()

	failed := func(class provider.Class, why string, err error) (types.AuthConfig, error) {
		return types.AuthConfig{}, &provider.Error{Class: class, Err: err, Message: fmt.Sprintf(
			"the credential helper %s, which %s names for registry %q, %s", program, l.file, l.host, why)}
	}
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it has answered, and left something behind
	case bound.Err() != nil:
		return failed(provider.Unavailable, fmt.Sprintf("gave no answer in time (at most %s) and was killed", helperBound), bound.Err())
	case errors.Is(err, exec.ErrNotFound):
		return failed(provider.InvalidArgument, "is not on the plugin's PATH; install it, or take it out of that file", nil)
	case credentials.IsErrCredentialsNotFoundMessage(string(out)):
		return types.AuthConfig{}, nil
	default:
		return failed(provider.Internal, fmt.Sprintf(`failed; try "echo %s | %s get" as the same user`, key, program), err)
	}
	var c credentials.Credentials
	if json.Unmarshal(out, &c) != nil {
		return failed(provider.Internal, "gave an answer that is not what Docker's helpers give", nil)
	}
	if c.Username == tokenUser {
		return types.AuthConfig{IdentityToken: c.Secret}, nil
	}
	return types.AuthConfig{Username: c.Username, Password: c.Secret}, nil
}

// denied says what is wrong when the registry lets nobody in.
func (l login) denied() string {
	if l.auth == "" {
		return fmt.Sprintf("its registry wants credentials; %s", l.remedy())
	}
	return fmt.Sprintf("its registry refuses the credentials that %s has for it; %s", l.file, l.remedy())
}

func (l login) remedy() string {
	if l.file == "" {
		return "name the directory of a Docker config.json in DOCKER_CONFIG"
	}
	return fmt.Sprintf("log in with \"docker login %s\", so that %s has its credentials", l.host, l.file)
}
