package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/berth-dev/berth/sdk/provider"
)

// validate judges the provider's block and the templates that use it. It never asks
// the daemon.
func validate(config Config, templates map[string]provider.TemplateInfo) provider.Diagnostics {
	out := validateConfig(config)
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		out = append(out, validateTemplate(config, name, templates[name])...)
	}
	return out
}

// validateConfig judges the provider's block.
func validateConfig(config Config) provider.Diagnostics {
	var out provider.Diagnostics
	refuse := func(attribute, summary, remedy string) {
		out = append(out, provider.Diagnostic{Severity: provider.SeverityError,
			Summary: summary, Detail: remedy, Path: strings.Split(attribute, ".")})
	}
	switch config.Pull {
	case "", pullNever, pullMissing, pullAlways:
	default:
		refuse("pull", fmt.Sprintf("pull is %q", config.Pull), "write never, missing or always")
	}
	for _, c := range config.CapAdd {
		if name := strings.TrimPrefix(strings.ToUpper(c), "CAP_"); name == "ALL" {
			refuse("cap_add", `cap_add holds "ALL", which undoes the hardening`, "name each capability that is needed")
		} else if !slices.Contains(capabilities, name) {
			refuse("cap_add", fmt.Sprintf("cap_add holds %q, which is no Linux capability", c), "see capabilities(7) for their names")
		}
	}
	for _, a := range config.Allow {
		if a != allowHostNetwork && a != allowDockerSocket {
			refuse("allow", fmt.Sprintf("allow holds %q", a), "write host_network or docker_socket")
		}
	}
	if n := config.Log.MaxSize; n != 0 && n < 4096 {
		refuse("log.max_size", fmt.Sprintf("log.max_size is %d bytes; it must be at least 4 KiB", n), "leave it out for 10 MiB")
	}
	if n := config.Log.MaxFiles; n < 0 || n > 100 {
		refuse("log.max_file", fmt.Sprintf("log.max_file is %d; it must be from 1 to 100", n), "leave it out for 3")
	}
	return out
}

// validateTemplate judges what is constant of one template.
func validateTemplate(config Config, name string, t provider.TemplateInfo) provider.Diagnostics {
	var out provider.Diagnostics
	refuse := func(attribute, summary, remedy string) {
		out = append(out, provider.Diagnostic{Severity: provider.SeverityError,
			Summary: summary, Detail: remedy, Template: name, Path: []string{"template." + attribute}})
	}
	if _, err := reference.ParseAnyReference(t.Image); t.Image == "" {
		refuse("image", "image is empty", "name the image that sandboxes are made from")
	} else if err != nil {
		refuse("image", fmt.Sprintf("image %q is no image's name: %v", t.Image, err), `write it as "repository:tag" or "repository@sha256:…"`)
	}
	if summary, remedy := checkNetwork(t.Network, t.Port, t.Publish, config.Allow); summary != "" {
		refuse("network", summary, remedy)
	}
	for _, m := range t.Mounts {
		if m.Source == "" {
			continue // it depends on the session; Create judges it
		}
		if summary, remedy := config.checkSource(m.Name, m.Source); summary != "" {
			refuse("mount."+m.Name+".source", summary, remedy)
		}
	}
	return out
}

// capabilities are those of Linux, without their prefix.
var capabilities = []string{
	"AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE",
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER",
	"KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP",
	"SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE",
	"SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
	"WAKE_ALARM",
}
