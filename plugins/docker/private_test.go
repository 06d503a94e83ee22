package docker

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
	"github.com/berth-dev/berth/sdk/provider"
)

// A private registry lets in who shows the right credentials, whichever way Docker's
// configuration has them; the others learn which file lacks them. No secret is told.
func TestPullFromAPrivateRegistry(t *testing.T) {
	reg := newRegistry(t)
	reg.use("user", secret, nil)
	digest := reg.push(t, "berth/private:one", 1)
	image := reg.host + "/berth/private:one"
	credentialHelper(t, "right", `read key; test "$1 $key" = "get `+reg.host+`" && echo '{"Username":"user","Secret":"`+secret+`"}'`)
	credentialHelper(t, "none", `echo "credentials not found in native keychain"; exit 1`)
	auths := func(password string) string {
		return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, reg.host, basic("user", password))
	}
	for _, test := range []struct {
		name, config string
		class        provider.Class // "" for in
		words        string
	}{
		{"auths", auths(secret), "", ""},
		{"credHelpers", fmt.Sprintf(`{"credHelpers":{%q:"right"}}`, reg.host), "", ""},
		{"credsStore", `{"credsStore":"right"}`, "", ""},
		{"nothing", `{}`, provider.InvalidArgument, "its registry wants credentials"},
		{"nothing in the store", `{"credsStore":"none"}`, provider.InvalidArgument, "its registry wants credentials"},
		{"wrong password", auths(secret + "-of-yesterday"), provider.InvalidArgument, "refuses the credentials"},
		{"broken file", auths(secret)[1:], provider.InvalidArgument, "repair that file"},
		{"no helper", `{"credsStore":"not-here"}`, provider.InvalidArgument, "docker-credential-not-here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := dockerConfig(t, test.config)
			r := newRig(t, Config{Pull: pullAlways})
			var told []string
			reader := r.progress.open()
			got, err := r.Prepare(t.Context(), provider.PrepareRequest{Image: image})
			for _, ev := range r.progress.take(reader) {
				told = append(told, ev.Message)
			}
			wantSecrecy(t, append(told, r.logs.String(), fmt.Sprint(r.spans.Ended()))...)
			if test.class == "" {
				if err != nil || got.Digest != digest {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			wantFailure(t, err, test.class, codeStart, "could not be pulled", test.words, file)
			wantSecrecy(t, fmt.Sprintf("%+v", err), err.Error())
		})
	}
}

// The real plugin, over the wire and with the environment that a host gives it: it finds
// the credentials and their helper, and tells progress; nothing tells the secret.
func TestPluginPullsPrivately(t *testing.T) {
	reg := newRegistry(t)
	reg.use("user", secret, nil)
	digest := reg.push(t, "berth/wire:one", 3)
	image := reg.host + "/berth/wire:one"
	credentialHelper(t, "right", `echo '{"Username":"user","Secret":"`+secret+`"}'`)
	dockerConfig(t, `{"credsStore":"right"}`)
	logs := &lockedBuffer{}
	plugin := launchPlugin(t, logs)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told, ready, over := make(chan provider.Event, 100), make(chan struct{}), make(chan error, 1)
	go func() {
		over <- plugin.Provider().(provider.EventSource).Events(ctx, func() { close(ready) }, func(ev provider.Event) error {
			if ev.Kind == provider.EventProgress {
				told <- ev
			}
			return nil
		})
	}()
	<-ready
	// The last layer is held back until the event of the others has come.
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	last := reg.lastLayer(t, "berth/wire@"+digest)
	reg.use("user", secret, func(_ http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, last) {
			<-gate
		}
		return false
	})
	type answer struct {
		provider.Prepared
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		got, err := plugin.Provider().Prepare(ctx, provider.PrepareRequest{Image: image})
		answers <- answer{got, err}
	}()
	for stage, want := range []string{"pulling", "of 3 layers", "pulled, " + digest + " in "} {
		for {
			var ev provider.Event
			select {
			case ev = <-told:
			case <-ctx.Done():
				t.Fatalf("nothing told %q", want)
			}
			if ev.Image != image || ev.SandboxID != "" || ev.SessionID != "" || ev.At.IsZero() {
				t.Errorf("told %+v", ev)
			}
			wantSecrecy(t, ev.Message)
			if strings.Contains(ev.Message, "failed") {
				t.Fatal(ev.Message)
			}
			if strings.Contains(ev.Message, want) {
				break
			}
		}
		if stage == 1 {
			open()
		}
	}
	if a := <-answers; a.err != nil || a.Digest != digest {
		t.Errorf("%+v", a)
	}
	cancel()
	<-over
	wantSecrecy(t, logs.String())
}

// launchPlugin builds the plugin's binary and launches it as a host does.
func launchPlugin(t *testing.T, logs *lockedBuffer) provider.Plugin {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "berth-provider-docker")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/berth-provider-docker").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run, remove, err := launch.TempRunDir()
	if err != nil {
		t.Fatal(err)
	}
	process, err := launch.Start(t.Context(), launch.Options{Name: "docker", Path: path, CacheDir: filepath.Join(dir, "cache"),
		RunDir: run, Env: launch.Environment(os.Environ(), nil), Logger: slog.New(slog.NewTextHandler(logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
	if _, err := process.Plugin().Configure(t.Context(), provider.ConfigureRequest{Config: []byte(`{"pull":"always"}`), Owner: world.owner}); err != nil {
		t.Fatal(err)
	}
	return process.Plugin()
}
