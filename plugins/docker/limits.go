package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/system"

	"github.com/berth-dev/berth/sdk/provider"
)

// limitations tells what a daemon can't enforce.
func limitations(info system.Info) []provider.Limitation {
	var out []provider.Limitation
	tell := func(missing bool, name, reason string) {
		if missing {
			out = append(out, provider.Limitation{Name: name, Reason: reason})
		}
	}
	tell(!info.MemoryLimit, "memory", "the daemon can't limit memory: sandboxes are refused")
	tell(!info.SwapLimit, "swap", `the daemon can't limit swap: it is not limited with swap = "auto", and swap = "require" is refused`)
	tell(!info.PidsLimit, "pids", "the daemon can't limit the number of processes: sandboxes are refused")
	tell(!info.CPUCfsQuota, "cpus", "the daemon can't limit CPU time: sandboxes are refused")

	seccomp, unconfined, apparmor, rootless := false, false, false, false
	for _, option := range info.SecurityOptions {
		name, rest, _ := strings.Cut(strings.TrimPrefix(option, "name="), ",")
		switch name {
		case "seccomp":
			seccomp, unconfined = true, strings.Contains(rest, "unconfined")
		case "apparmor":
			apparmor = true
		case "rootless":
			rootless = true
		}
	}
	tell(!seccomp, "seccomp", "the kernel or the daemon has no seccomp: system calls are not filtered")
	tell(seccomp && unconfined, "seccomp", "the daemon's default seccomp profile is unconfined: system calls are not filtered")
	tell(!apparmor, "apparmor", "the daemon has no AppArmor: its profile does not confine sandboxes")
	tell(rootless, "rootless", "the daemon runs rootless: limits hold only where cgroups are delegated to it")
	tell(info.CgroupVersion == "1", "cgroup", "cgroup version 1: an out-of-memory kill ends one process, not all of the sandbox's")
	return out
}

// resourcesOf makes Docker's limits, or refuses what the daemon can't enforce.
func resourcesOf(r provider.Resources, info system.Info) (container.Resources, *provider.Error) {
	var out container.Resources
	for _, limit := range []struct {
		name  string
		value int64
		held  bool
	}{
		{"memory", r.MemoryBytes, info.MemoryLimit},
		{"cpus", r.NanoCPUs, info.CPUCfsQuota},
		{"pids", r.Pids, info.PidsLimit},
	} {
		if limit.value <= 0 {
			return out, refusal(provider.InvalidArgument, "", "", "",
				fmt.Sprintf("resources: %s is %d; it must be more than 0", limit.name, limit.value))
		}
		if !limit.held {
			return out, refusal(provider.Unsupported, "", "", "",
				fmt.Sprintf("resources: the daemon can't enforce %s; use a daemon that can", limit.name))
		}
	}
	out.Memory = r.MemoryBytes
	out.NanoCPUs = r.NanoCPUs
	out.PidsLimit = &r.Pids
	switch {
	case info.SwapLimit:
		out.MemorySwap = r.MemoryBytes // memory and swap together: no swap
	case r.Swap == provider.SwapRequire:
		return out, refusal(provider.Unsupported, "", "", "",
			`resources: swap is "require" and the daemon can't limit swap; write swap = "auto", or boot with swapaccount=1`)
	}
	return out, nil
}

// checkRuntime refuses a runtime that the daemon does not have.
func checkRuntime(name string, info system.Info) *provider.Error {
	if _, ok := info.Runtimes[name]; ok || name == "" {
		return nil
	}
	have := slices.Sorted(maps.Keys(info.Runtimes))
	return refusal(provider.Unsupported, "", "", "",
		fmt.Sprintf("runtime %q does not exist at the daemon, which has %s", name, strings.Join(have, ", ")))
}
