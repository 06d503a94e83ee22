package launch

import (
	"maps"
	"slices"
	"strings"
)

// Environment picks what a plugin may see of the host's environment: PATH, HOME, and
// whatever begins with DOCKER_ or OTEL_. Everything else, secrets first of all, stays with
// the host; TMPDIR too, because the plugin's sockets live in the run directory. The
// variables of extra are added and win. The result is sorted.
func Environment(host []string, extra map[string]string) []string {
	env := map[string]string{}
	for _, kv := range host {
		key, value, ok := strings.Cut(kv, "=")
		if ok && allowed(key) {
			env[key] = value
		}
	}
	maps.Copy(env, extra)
	list := make([]string, 0, len(env))
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	slices.Sort(list)
	return list
}

func allowed(key string) bool {
	switch key {
	case "PATH", "HOME":
		return true
	}
	return strings.HasPrefix(key, "DOCKER_") || strings.HasPrefix(key, "OTEL_")
}
