// Package build tells which build of the module this is.
package build

import "runtime/debug"

// Version is the version that the Go toolchain wrote into the binary: the module's
// version, or "(devel)" with the revision where it knows one.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v += "+" + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}
