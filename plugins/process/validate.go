package process

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-dev/berth/plugins/internal/doors"
	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/provider"
)

// validate judges what the schemas can't express. It looks at no file but for where sockets
// are that no sandbox may reach.
func validate(config Config, templates map[string]sdk.TemplateOf[SandboxConfig]) provider.Diagnostics {
	out := validateConfig(config)
	names := make([]string, 0, len(templates))
	for name := range templates {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out = append(out, validateTemplate(config, name, templates[name])...)
	}
	return out
}

// cgroupName is what Config.Cgroup may be; "." and ".." are refused beside it.
var cgroupName = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)

func validateConfig(config Config) provider.Diagnostics {
	var out provider.Diagnostics
	refuse := func(attribute, summary, remedy string) {
		out = append(out, provider.Diagnostic{Severity: provider.SeverityError,
			Summary: summary, Detail: remedy, Path: strings.Split(attribute, ".")})
	}
	if d := config.StateDir; d != "" && !isCleanAbs(d) {
		refuse("state_dir", fmt.Sprintf("state_dir is %q, which is no clean absolute path", d), "write it from / on, without . or ..")
	}
	for _, r := range config.Root {
		if !isCleanAbs(r) || r == "/" {
			refuse("root", fmt.Sprintf("root holds %q; each entry must be a clean absolute path below /", r), "name the directories that sandboxes may read, such as /usr")
		} else if why := ownPath(r); why != "" {
			refuse("root", fmt.Sprintf("root holds %q, but %s", r, why), "leave it out")
		} else if why, remedy := config.reaches(r); why != "" {
			refuse("root", fmt.Sprintf("root holds %q, which %s", r, why), remedy)
		}
	}
	if c := config.Cgroup; c != "" && (!cgroupName.MatchString(c) || path.Clean(c) != c || strings.HasPrefix(c, "..")) {
		refuse("cgroup", fmt.Sprintf("cgroup is %q, which is no relative path of names", c), "write a name such as berth")
	}
	for _, a := range config.Allow {
		if a != allowDockerSocket {
			refuse("allow", fmt.Sprintf("allow holds %q", a), "write docker_socket")
		}
	}
	if n := config.Log.MaxSize; n != 0 && n < 64<<10 {
		refuse("log.max_size", fmt.Sprintf("log.max_size is %d bytes; it must be at least 64 KiB", n), "leave it out for 10 MiB")
	}
	if n := config.Log.MaxFiles; n < 0 || n > 100 {
		refuse("log.max_file", fmt.Sprintf("log.max_file is %d; it must be from 1 to 100", n), "leave it out for 3")
	}
	return out
}

// validateTemplate judges what is constant of one template.
func validateTemplate(config Config, name string, t sdk.TemplateOf[SandboxConfig]) provider.Diagnostics {
	var out provider.Diagnostics
	refuse := func(path []string, summary, remedy string) {
		out = append(out, provider.Diagnostic{Severity: provider.SeverityError,
			Summary: summary, Detail: remedy, Template: name, Path: path})
	}
	if summary, remedy := config.checkImage(t.Image); summary != "" {
		refuse([]string{"template.image"}, summary, remedy)
	}
	if summary, remedy := checkNetwork(t.Network); summary != "" {
		refuse([]string{"template.network"}, summary, remedy)
	}
	if _, _, err := parseUser(t.Config.User); err != nil {
		refuse([]string{"user"}, err.Error(), `write "uid:gid" in numbers from 1 on, or leave it out`)
	}
	if d := t.Config.WorkDir; d != "" && !isCleanAbs(d) {
		refuse([]string{"workdir"}, fmt.Sprintf("workdir is %q, which is no clean absolute path", d), "write it from / on, without . or ..")
	}
	for _, m := range t.Mounts {
		if summary, remedy := config.checkMount(m, nil); summary != "" {
			refuse([]string{"template.mount." + m.Name}, summary, remedy)
		}
	}
	return out
}

// checkImage judges an image's name: nothing, or the path of a directory.
func (c Config) checkImage(image string) (summary, remedy string) {
	switch {
	case image == "":
		return "", ""
	case !isCleanAbs(image) || image == "/":
		return fmt.Sprintf("image is %q; for the process provider an image is a directory that holds a root", image),
			"write the directory's clean absolute path, or leave image out: sandboxes then see what the provider's root names"
	case ownPath(image) != "":
		return fmt.Sprintf("image is %q, but %s", image, ownPath(image)), "choose another directory"
	}
	if why, remedy := c.reaches(image); why != "" {
		return fmt.Sprintf("image is %q, which %s", image, why), remedy
	}
	return "", ""
}

// checkNetwork judges a network: there is but one.
func checkNetwork(network string) (summary, remedy string) {
	if network == "" || network == networkNone {
		return "", ""
	}
	return fmt.Sprintf("network is %q; a sandbox of the process provider has a network of its own, with nothing else in it", network),
		`leave network out, or write "none"`
}

// reaches tells which socket a sandbox would reach that is shown path; both "" for none. That
// it can't write to what it is shown does not keep it from connecting.
func (c Config) reaches(path string) (why, remedy string) {
	if slices.Contains(c.Allow, allowDockerSocket) {
		return "", ""
	}
	if s := doors.Behind(path); s != "" {
		return fmt.Sprintf("reaches the socket %s, by which a sandbox would be root on this machine", s),
			`name a directory that does not contain it, or write allow = ["docker_socket"] in the provider's config`
	}
	return "", ""
}

// checkMount refuses a mount that can't be or that gives too much away. A source that
// depends on the session is "" when a template is judged. private is what no sandbox may
// see: the provider's own directory.
func (c Config) checkMount(m provider.Mount, private []string) (summary, remedy string) {
	if !isCleanAbs(m.Target) || m.Target == "/" {
		return fmt.Sprintf("mount %s: its target is %q, which is no clean absolute path below /", m.Name, m.Target), "write it from / on, without . or .."
	}
	if why := ownPath(m.Target); why != "" {
		return fmt.Sprintf("mount %s: its target is %q, but %s", m.Name, m.Target, why), "choose another target"
	}
	if m.Source == "" {
		return "", ""
	}
	if !isCleanAbs(m.Source) {
		return fmt.Sprintf("mount %s: its source is %q, which is no clean absolute path", m.Name, m.Source), "write it from / on, without . or .."
	}
	for _, kernel := range []string{"/proc", "/sys", "/dev"} {
		if m.Source == "/" || within(m.Source, kernel) {
			return fmt.Sprintf("mount %s: its source is %q, which is of the kernel or the whole machine", m.Name, m.Source), "name the directory that the sandbox needs"
		}
	}
	for _, p := range private {
		if within(p, m.Source) || within(m.Source, p) {
			return fmt.Sprintf("mount %s: its source %q and the provider's own directory %q overlap", m.Name, m.Source, p), "name another directory"
		}
	}
	if why, remedy := c.reaches(m.Source); why != "" {
		return fmt.Sprintf("mount %s: its source %q %s", m.Name, m.Source, why), remedy
	}
	return "", ""
}

// ownPath tells why a path in the sandbox is not to be had: its own things are there.
func ownPath(p string) string {
	for _, own := range []string{"/proc", "/dev", "/sys"} {
		if within(p, own) {
			return "each sandbox has its own " + own + ", or none"
		}
	}
	if p == "/tmp" {
		return "each sandbox has its own /tmp"
	}
	return ""
}

// parseUser reads "uid:gid"; "" is 0, 0: none.
func parseUser(text string) (uid, gid int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	u, g, ok := strings.Cut(text, ":")
	uid64, err1 := strconv.ParseUint(u, 10, 31)
	gid64, err2 := strconv.ParseUint(g, 10, 31)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return 0, 0, fmt.Errorf("user is %q, which is no uid:gid in numbers", text)
	case uid64 == 0 || gid64 == 0:
		return 0, 0, fmt.Errorf("user is %q; a sandbox never has uid or gid 0 of this machine", text)
	}
	return int(uid64), int(gid64), nil
}

func isCleanAbs(p string) bool {
	return filepath.IsAbs(p) && filepath.Clean(p) == p && !strings.ContainsRune(p, 0)
}

// within reports whether p is dir or below it. Both are clean.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}
