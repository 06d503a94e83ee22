package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/berth-dev/berth/host"
)

// needDocker skips a test, by name and reason, where no daemon answers; with
// BERTH_REQUIRE_DOCKER=1 it fails.
func needDocker(t testing.TB) {
	t.Helper()
	if world.away == nil {
		return
	}
	if os.Getenv("BERTH_REQUIRE_DOCKER") == "1" {
		t.Fatalf("BERTH_REQUIRE_DOCKER=1, and no Docker daemon answers: %v", world.away)
	}
	t.Skipf("no Docker daemon answers: %v", world.away)
}

// needProcess skips a test, by name and reason, where the process provider can't run, or
// need not: plugins are built without the race detector, so that -short, which is the
// detector's, has no more of a second provider than of the first; and a run that is about a
// Docker engine has nothing of it. With namespaces in BERTH_REQUIRE_ISOLATION a machine on
// which it can't run is a failure.
func needProcess(t testing.TB) {
	t.Helper()
	required := slices.Contains(strings.Split(os.Getenv("BERTH_REQUIRE_ISOLATION"), ","), "namespaces")
	switch {
	case os.Getenv("BERTH_REQUIRE_ENGINE") == "1":
		t.Skip("BERTH_REQUIRE_ENGINE=1: the run is about a Docker engine")
	case world.alone != nil && required:
		t.Fatalf("BERTH_REQUIRE_ISOLATION has namespaces, and there is no process provider here: %v", world.alone)
	case world.alone != nil:
		t.Skipf("there is no process provider here: %v", world.alone)
	case testing.Short() && world.away == nil:
		t.Skip("-short: the host is the same as on Docker, and plugins are built without the race detector")
	}
}

// containers lists those that bear all of labels, in every state.
func containers(t testing.TB, api *client.Client, labels ...string) []container.Summary {
	t.Helper()
	args := filters.NewArgs()
	for _, l := range labels {
		args.Add("label", l)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := api.ContainerList(ctx, container.ListOptions{All: true, Filters: args})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// gone reports whether a container is no longer there.
func gone(t testing.TB, api *client.Client, id string) bool {
	t.Helper()
	_, err := api.ContainerInspect(context.Background(), id)
	if err != nil && !cerrdefs.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil
}

// inspect asks the daemon about a container that has to be there.
func inspect(t testing.TB, id string) container.InspectResponse {
	t.Helper()
	c, err := world.api.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// removeOwned removes the containers of owners, behind Berth's back.
func removeOwned(t testing.TB, api *client.Client, owners ...string) {
	t.Helper()
	for _, owner := range owners {
		for _, c := range containers(t, api, "berth.owner="+owner) {
			remove(t, api, c.ID)
		}
	}
}

func remove(t testing.TB, api *client.Client, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || cerrdefs.IsNotFound(err) {
		return
	}
	if !cerrdefs.IsConflict(err) { // somebody else is removing it
		t.Error(err)
	}
	await(t, patience, "container "+id+" is gone", func() bool { return gone(t, api, id) })
}

// leftAtDaemon tells which containers of this run are left, and removes them.
func leftAtDaemon(ctx context.Context) error {
	list, err := world.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("ancestor", world.image))})
	if cerrdefs.IsNotFound(err) {
		return nil // the image could not be made
	}
	errs := []error{err}
	for _, c := range list {
		errs = append(errs, fmt.Errorf("a container is left: %s %v", c.ID, c.Names),
			world.api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}))
	}
	return errors.Join(errs...)
}

// leftProcesses tells which processes run a program, or have an argument, below dir.
func leftProcesses(dir string) error {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(dirs) == 0 {
		return err // no proc file system
	}
	var left []string
	for _, p := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(p))
		cmdline, _ := os.ReadFile(filepath.Join(p, "cmdline")) // it may be gone by now, or dead
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		if pid != os.Getpid() && (strings.HasPrefix(exe, dir+"/") || strings.Contains(string(cmdline), dir+"/")) && len(cmdline) > 0 {
			left = append(left, fmt.Sprintf("%d %s", pid, strings.ReplaceAll(string(cmdline), "\x00", " ")))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("processes are left: %s", strings.Join(left, "; "))
	}
	return nil
}

// ask gets a path of a session's agent.
func ask(t testing.TB, s host.Session, path string) string {
	t.Helper()
	body, err := try(s, path)
	if err != nil {
		t.Fatalf("session %s at %+v: %v", s.ID, s.Endpoint, err)
	}
	return body
}

// try is ask for what may fail.
func try(s host.Session, path string) (string, error) {
	if s.Endpoint == nil {
		return "", errors.New("it has no endpoint")
	}
	return fetch("http://" + net.JoinHostPort(s.Endpoint.IP, strconv.Itoa(s.Endpoint.Port)) + path)
}

// fetch gets a page that answers 200.
func fetch(url string) (string, error) {
	status, body, err := page(url)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", url, status, body)
	}
	return body, err
}

// page gets a page. It leaves no connection behind.
func page(url string) (status int, body string, err error) {
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := web.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// untag removes a name of an image.
func untag(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := world.api.ImageRemove(ctx, name, image.RemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		t.Error(err)
	}
}
