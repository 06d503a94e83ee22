package deploy

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/plugins/docker/dockertest"
)

// contained is a host in a container, made from the Dockerfile and the Compose file.
type contained struct {
	t      *testing.T
	api    *client.Client
	root   string // BERTH_ROOT
	id     string
	socket string
	owner  string
}

// The image of the Dockerfile, run as the Compose file says, makes sandboxes beside itself.
// It is killed and started again: they are the same, with their deadlines.
func TestContainer(t *testing.T) {
	h := newContained(t)
	h.start()
	for _, verb := range []string{"list", "providers", "validate"} { // which starts the plugin from /tmp
		h.exec("berth", verb, "--config", "/etc/berth/config.hcl")
	}

	create := func(ttl string) session {
		return must(t, h.socket, "SessionService/CreateSession",
			request{"template": "default", "chat_id": uuid.NewString(), "agent_id": "writer", "ttl": ttl}).Session
	}
	get := func(s session) session {
		return must(t, h.socket, "SessionService/GetSession", request{"session_id": s.ID}).Session
	}
	kept, brief := create("5m"), create("12s")
	for _, s := range []session{kept, brief} {
		if text := ask(t, s); !strings.Contains(text, "agent writer") {
			t.Errorf("the sandbox answers %q", text)
		}
	}
	h.wantChat(kept)

	h.kill()
	if text := ask(t, kept); text == "" {
		t.Error("the sandbox did not outlive its host")
	}
	h.start()
	after := get(kept)
	if after.Status != "running" || after.SandboxID != kept.SandboxID || !after.ExpiresAt.Equal(kept.ExpiresAt) || !after.CreatedAt.Equal(kept.CreatedAt) {
		t.Errorf("before %+v\nafter  %+v", kept, after)
	}
	ask(t, after)
	var end session
	await(t, time.Minute, func() bool { end = get(brief); return end.Status == "ended" }, func() string { return "the brief session ends" })
	if end.Ended.Reason != "expired" || end.Ended.At.Before(brief.ExpiresAt) {
		t.Errorf("it was to end at %v: %+v", brief.ExpiresAt, end.Ended)
	}
	must(t, h.socket, "SessionService/DeleteSession", request{"session_id": kept.ID})
	if _, err := h.api.ContainerInspect(t.Context(), kept.SandboxID); !cerrdefs.IsNotFound(err) {
		t.Errorf("the deleted sandbox: %v", err)
	}

	patience := 60
	if err := h.api.ContainerStop(t.Context(), h.id, container.StopOptions{Timeout: &patience}); err != nil {
		t.Fatal(err)
	}
	if now, err := h.api.ContainerInspect(t.Context(), h.id); err != nil || now.State.ExitCode != 0 {
		t.Errorf("the host ended with %+v, %v\n%s", now.State, err, h.logs())
	}
}

// newContained builds the image and makes the container, and all that it needs. It all
// goes with the test.
func newContained(t *testing.T) *contained {
	t.Helper()
	api := docker(t)
	socket, ok := strings.CutPrefix(api.DaemonHost(), "unix://")
	if !ok {
		t.Skipf("the daemon at %s has no socket to mount", api.DaemonHost())
	}
	id := uuid.NewString()[:8]
	h := &contained{t: t, api: api, root: shortDir(t)}
	h.socket = filepath.Join(h.root, "berth.sock")
	for _, dir := range []string{"chats", "dependencies", "lambda-tools", "volumes"} {
		if err := os.Mkdir(filepath.Join(h.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f := dockertest.Fixture{Image: "berth-deploy-" + id + "-agent:latest", Network: "berth-deploy-" + id,
		Agent: filepath.Join(built(t), "agent"), User: "1234:1234"}
	t.Cleanup(func() {
		if h.owner != "" {
			f.Labels = []string{"berth.owner=" + h.owner}
		}
		if err := dockertest.Down(background(t), api, f); err != nil {
			t.Error(err)
		}
	})
	if err := dockertest.Up(t.Context(), api, f); err != nil {
		t.Fatal(err)
	}

	name := "berth-deploy-" + id + ":latest"
	buildImage(t, api, name)
	s := readCompose(t)
	s.Image = name
	config, host := s.container(map[string]string{
		"BERTH_ROOT": h.root, "BERTH_IMAGE": f.Image, "BERTH_NETWORK": f.Network, "BERTH_METRICS": "127.0.0.1:0", "BERTH_DOCKER_SOCKET": socket,
	})
	made, err := api.ContainerCreate(t.Context(), config, host, nil, nil, "berth-deploy-"+id)
	if err != nil {
		t.Fatal(err)
	}
	h.id = made.ID
	t.Cleanup(func() {
		if err := api.ContainerRemove(background(t), h.id, container.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	return h
}

// buildImage builds the Dockerfile from the files that its head names.
func buildImage(t *testing.T, api *client.Client, name string) {
	t.Helper()
	var context bytes.Buffer
	out := tar.NewWriter(&context)
	for path, source := range map[string]string{
		"bin/berth":                  filepath.Join(built(t), "bin/berth"),
		"bin/berth-provider-docker":  filepath.Join(built(t), "bin/berth-provider-docker"),
		"examples/deploy/config.hcl": "config.hcl",
		"examples/deploy/Dockerfile": "Dockerfile",
	} {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := out.WriteHeader(&tar.Header{Name: path, Mode: int64(info.Mode().Perm()), Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := api.ImageRemove(background(t), name, image.RemoveOptions{Force: true, PruneChildren: true}); err != nil && !cerrdefs.IsNotFound(err) {
			t.Error(err)
		}
	})
	res, err := api.ImageBuild(t.Context(), &context, build.ImageBuildOptions{
		Dockerfile: "examples/deploy/Dockerfile", Tags: []string{name}, Remove: true, ForceRemove: true, NoCache: true, Version: build.BuilderV1})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for d := json.NewDecoder(res.Body); ; {
		var line struct{ Error string }
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if line.Error != "" {
			t.Fatalf("build: %s", line.Error)
		}
	}
}

// start starts the container and waits until the host is ready.
func (h *contained) start() {
	h.t.Helper()
	if err := h.api.ContainerStart(h.t.Context(), h.id, container.StartOptions{}); err != nil {
		h.t.Fatal(err)
	}
	awaitReady(h.t, h.socket, h.logs)
	owner, err := os.ReadFile(filepath.Join(h.root, "state", "owner"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.owner = strings.TrimSpace(string(owner))
}

// kill ends the host without a word, and with it its plugins.
func (h *contained) kill() {
	h.t.Helper()
	if err := h.api.ContainerKill(h.t.Context(), h.id, "KILL"); err != nil {
		h.t.Fatal(err)
	}
	await(h.t, 20*time.Second, func() bool {
		now, err := h.api.ContainerInspect(h.t.Context(), h.id)
		return err == nil && !now.State.Running
	}, func() string { return "the host's container has ended" })
}

// wantChat checks that the chat's directory was given to the image's user.
func (h *contained) wantChat(s session) {
	h.t.Helper()
	info, err := os.Stat(filepath.Join(h.root, "chats", s.ChatID))
	if err != nil {
		h.t.Fatal(err)
	}
	if got := info.Mode().Perm().String() + " " + ownerOf(info); got != "-rwx------ 1234:1234" {
		h.t.Errorf("the chat's directory is %s", got)
	}
}

// exec runs a command beside the host, and fails the test when it fails.
func (h *contained) exec(command ...string) {
	h.t.Helper()
	ctx := h.t.Context()
	made, err := h.api.ContainerExecCreate(ctx, h.id, container.ExecOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		h.t.Fatal(err)
	}
	stream, err := h.api.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	defer stream.Close()
	var text bytes.Buffer
	if _, err := stdcopy.StdCopy(&text, &text, stream.Reader); err != nil {
		h.t.Fatal(err)
	}
	if now, err := h.api.ContainerExecInspect(ctx, made.ID); err != nil || now.ExitCode != 0 {
		h.t.Errorf("%v ended with %d, %v:\n%s", command, now.ExitCode, err, text.String())
	}
}

func (h *contained) logs() string {
	stream, err := h.api.ContainerLogs(background(h.t), h.id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "40"})
	if err != nil {
		return err.Error()
	}
	defer stream.Close()
	var text bytes.Buffer
	_, _ = stdcopy.StdCopy(&text, &text, stream)
	return text.String()
}
