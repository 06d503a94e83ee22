package docker

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/docker/api/types/registry"

	"github.com/berth-dev/berth/sdk/provider"
)

// secret is a password that nothing but a registry may see.
const secret = "s3cret-pa55word"

// dockerConfig writes Docker's configuration, and points the environment at it.
func dockerConfig(t *testing.T, text string) (file string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	file = filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// credentialHelper puts docker-credential-<name> on the PATH: a shell script.
func credentialHelper(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// basic is how Docker's configuration holds a user and a password.
func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// wantSecrecy fails when a text has the secret in it, in any of its dresses.
func wantSecrecy(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, dress := range []string{secret, basic("user", secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if strings.Contains(text, dress) {
				t.Errorf("the secret is told: %s", text)
			}
		}
	}
}

// What Docker's own client finds, by any of its ways, is found.
func TestLoginIsFound(t *testing.T) {
	credentialHelper(t, "store", `read key; case "$1 $key" in
"get https://index.docker.io/v1/") echo '{"Username":"hub","Secret":"`+secret+`"}';;
"get token.test") echo '{"Username":"<token>","Secret":"`+secret+`"}';;
*) echo "credentials not found in native keychain"; exit 1;;
esac`)
	credentialHelper(t, "own", `echo '{"Username":"own","Secret":"`+secret+`"}'; sleep 3 >&2 & exit 0`)
	for _, test := range []struct{ name, config, image, want string }{
		{"no file", ``, "a.test/x", ""},
		{"nothing in the file", `{}`, "a.test/x", ""},
		{"another registry's", `{"auths":{"b.test":{"auth":"` + basic("user", secret) + `"}}}`, "a.test/x", ""},
		{"auth", `{"auths":{"a.test:5000":{"auth":"` + basic("user", secret) + `"}}}`, "a.test:5000/x/y:z", "user/" + secret + "// a.test:5000"},
		{"a colon in the password", `{"auths":{"a.test":{"auth":"` + basic("user", "a:b") + `"}}}`, "a.test/x", "user/a:b// a.test"},
		{"username and password", `{"auths":{"a.test":{"username":"user","password":"` + secret + `"}}}`, "a.test/x", "user/" + secret + "// a.test"},
		{"an address for a key", `{"auths":{"https://a.test/v1/":{"auth":"` + basic("user", secret) + `"}}}`, "a.test/x", "user/" + secret + "// a.test"},
		{"identity token", `{"auths":{"a.test":{"auth":"` + basic("user", "") + `","identitytoken":"` + secret + `"}}}`, "a.test/x", "user//" + secret + "/ a.test"},
		{"registry token", `{"auths":{"a.test":{"registrytoken":"` + secret + `"}}}`, "a.test/x", "///" + secret + " a.test"},
		{"the hub", `{"auths":{"https://index.docker.io/v1/":{"auth":"` + basic("user", secret) + `"}}}`, "alpine", "user/" + secret + "// https://index.docker.io/v1/"},
		{"the hub by its name", `{"auths":{"https://index.docker.io/v1/":{"auth":"` + basic("user", secret) + `"}}}`, "index.docker.io/me/x", "user/" + secret + "// https://index.docker.io/v1/"},
		{"credsStore", `{"auths":{"https://index.docker.io/v1/":{}},"credsStore":"store"}`, "me/x", "hub/" + secret + "// https://index.docker.io/v1/"},
		{"credsStore has none", `{"credsStore":"store"}`, "a.test/x", ""},
		{"credsStore has a token", `{"credsStore":"store"}`, "token.test/x", "//" + secret + "/ token.test"},
		{"credHelpers first", `{"credsStore":"store","credHelpers":{"token.test":"own"}}`, "token.test/x", "own/" + secret + "// token.test"},
		{"credHelpers of another", `{"credHelpers":{"b.test":"own"},"auths":{"a.test":{"auth":"` + basic("user", secret) + `"}}}`, "a.test/x", "user/" + secret + "// a.test"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := dockerConfig(t, test.config)
			if test.config == "" {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			found, err := loginFor(t.Context(), test.image)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if found.auth != "" {
				a, err := registry.DecodeAuthConfig(found.auth)
				if err != nil {
					t.Fatal(err)
				}
				got = fmt.Sprintf("%s/%s/%s/%s %s", a.Username, a.Password, a.IdentityToken, a.RegistryToken, a.ServerAddress)
			}
			if got != test.want || found.file != file {
				t.Errorf("found %q in %s, want %q in %s", got, found.file, test.want, file)
			}
		})
	}
}

// Without DOCKER_CONFIG the file is in the home; without a home there is none.
func TestLoginFile(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", "")
	t.Setenv("HOME", "/home/of/somebody")
	if got := dockerConfigFile(); got != "/home/of/somebody/.docker/config.json" {
		t.Errorf("%q", got)
	}
	t.Setenv("HOME", "")
	found, err := loginFor(t.Context(), "a.test/x")
	if err != nil || found.auth != "" || found.file != "" || !strings.Contains(found.denied(), "DOCKER_CONFIG") {
		t.Errorf("%+v, %v: %s", found, err, found.denied())
	}
}

// What can't be used is one error that names the file and the remedy, and no secret.
func TestLoginRefused(t *testing.T) {
	credentialHelper(t, "broken", `echo "{\"Secret\":\"`+secret+`\"}"; echo `+secret+` >&2; exit 3`)
	credentialHelper(t, "babbling", `echo `+secret)
	for _, test := range []struct {
		name, config string
		class        provider.Class
		words        string
	}{
		{"no JSON", `{"auths":{"a.test":{"auth":"` + basic("user", secret) + `"`, provider.InvalidArgument, "repair that file"},
		{"another type", `{"auths":{"a.test":"` + secret + `"}}`, provider.InvalidArgument, "repair that file"},
		{"a number", `{"auths":{"a.test":{"password":12345678}}}`, provider.InvalidArgument, "repair that file"},
		{"no base64", `{"auths":{"a.test":{"auth":"` + secret + `"}}}`, provider.InvalidArgument, "repair that file"},
		{"no colon", `{"auths":{"a.test":{"auth":"` + base64.StdEncoding.EncodeToString([]byte(secret)) + `"}}}`, provider.InvalidArgument, "repair that file"},
		{"helper missing", `{"credsStore":"not-here"}`, provider.InvalidArgument, "docker-credential-not-here"},
		{"helper missing, its remedy", `{"credHelpers":{"a.test":"not-here"}}`, provider.InvalidArgument, "is not on the plugin's PATH; install it"},
		{"helper fails", `{"credsStore":"broken"}`, provider.Internal, `echo a.test | docker-credential-broken get`},
		{"helper babbles", `{"credsStore":"babbling"}`, provider.Internal, "not what Docker's helpers give"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := dockerConfig(t, test.config)
			_, err := loginFor(t.Context(), "a.test/x")
			if err == nil || provider.ClassOf(err) != test.class || !strings.Contains(err.Error(), test.words) || !strings.Contains(err.Error(), file) {
				t.Fatalf("%v (%s), want %s with %q and %s", err, provider.ClassOf(err), test.class, test.words, file)
			}
			wantSecrecy(t, fmt.Sprintf("%+v", err), err.Error())
			if strings.Contains(err.Error(), "12345678") {
				t.Errorf("the secret is told: %v", err)
			}
		})
	}
}

// A file that may not be read is not taken for one that is not there.
func TestLoginUnreadable(t *testing.T) {
	file := dockerConfig(t, "{}")
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := loginFor(t.Context(), "a.test/x"); provider.ClassOf(err) != provider.InvalidArgument || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

// A helper that hangs is killed when the caller has left.
func TestLoginHelperHangs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	credentialHelper(t, "hanging", `echo $$ >`+file+`; exec sleep 1000`)
	dockerConfig(t, `{"credsStore":"hanging"}`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone := make(chan error, 1)
	go func() {
		_, err := loginFor(ctx, "a.test/x")
		gone <- err
	}()
	var pid int
	eventually(t, "the helper runs", func() bool {
		text, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid != 0
	})
	cancel()
	if err := <-gone; provider.ClassOf(err) != provider.Unavailable || !strings.Contains(err.Error(), "docker-credential-hanging") {
		t.Errorf("got %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the helper lives on: %v", err)
	}
}
