package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/system"
)

// What the daemon can't enforce is told by berth providers, and nothing else: of this
// machine's as it is, of one that can do all, and of one that can do none of it.
func TestPromise8_WhatTheDaemonCantEnforceIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	way := newInterposer(s)
	s.configure(settings{provider: way.line()})
	info, err := world.api.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		info map[string]any // said instead
		want []string
	}{
		{"as it is", nil, lacks(info)},
		{"all", map[string]any{"MemoryLimit": true, "SwapLimit": true, "PidsLimit": true, "CpuCfsQuota": true, "CgroupVersion": "2",
			"SecurityOptions": []string{"name=apparmor", "name=seccomp,profile=builtin"}}, nil},
		{"none", map[string]any{"MemoryLimit": false, "SwapLimit": false, "PidsLimit": false, "CpuCfsQuota": false, "CgroupVersion": "1",
			"SecurityOptions": []string{"name=rootless"}},
			[]string{"apparmor", "cgroup", "cpus", "memory", "pids", "rootless", "seccomp", "swap"}},
		{"no filter", map[string]any{"SecurityOptions": []string{"name=apparmor", "name=seccomp,profile=unconfined"},
			"MemoryLimit": true, "SwapLimit": true, "PidsLimit": true, "CpuCfsQuota": true, "CgroupVersion": "2"}, []string{"seccomp"}},
	} {
		way.use(nil, func(res *http.Response) error {
			if !strings.HasSuffix(res.Request.URL.Path, "/info") {
				return nil
			}
			return retell(res, c.info)
		})
		out := s.berth(0, "providers")
		if got := told(out); !slices.Equal(got, c.want) {
			t.Errorf("%s: it tells of %q, want %q:\n%s", c.name, got, c.want, out)
		}
	}
}

// lacks names what a daemon says that it has not got, in order.
func lacks(info system.Info) (names []string) {
	options := strings.Join(info.SecurityOptions, " ") + " "
	for name, missing := range map[string]bool{
		"memory": !info.MemoryLimit, "swap": !info.SwapLimit, "pids": !info.PidsLimit, "cpus": !info.CPUCfsQuota,
		"seccomp":  !strings.Contains(options, "name=seccomp,") || strings.Contains(options, "profile=unconfined"),
		"apparmor": !strings.Contains(options, "name=apparmor "), "rootless": strings.Contains(options, "name=rootless "),
		"cgroup": info.CgroupVersion == "1",
	} {
		if missing {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// told names what berth providers tells of, in order. Each has its reason.
func told(out string) (names []string) {
	_, list, _ := strings.Cut(out, "\ndocker can't enforce here:\n")
	for line := range strings.Lines(list) {
		if name, reason, ok := strings.Cut(strings.TrimPrefix(line, "  "), ": "); ok && len(reason) > 20 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// retell changes the JSON object of an answer.
func retell(res *http.Response, changed map[string]any) error {
	object := map[string]any{}
	err := json.NewDecoder(res.Body).Decode(&object)
	res.Body.Close()
	if err != nil {
		return err
	}
	maps.Copy(object, changed)
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	res.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}
