package config

import (
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const nameLimit = "1 to 63 letters, digits, \".\", \"_\" or \"-\", the first a letter or digit"

var (
	labelPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
	sha256Pattern = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
	userPattern   = regexp.MustCompile(`^[0-9]{1,10}:[0-9]{1,10}$`)
	modePattern   = regexp.MustCompile(`^0?[0-7]{3}$`)
)

// clean refuses control characters.
func clean(s string) (limit, remedy string) {
	if !printable(s) {
		return "a text without control characters", ""
	}
	return "", ""
}

// absolute refuses paths that depend on where the host was started, or climb.
func absolute(s string) (limit, remedy string) {
	switch {
	case !path.IsAbs(s):
		return "an absolute path", "Begin it with \"/\"."
	case path.Clean(s) != strings.TrimSuffix(s, "/") && s != "/":
		return "a path without \".\", \"..\" or \"//\"", "Write " + quote(path.Clean(s)) + "."
	}
	return "", ""
}

// notRoot refuses "/".
func notRoot(remedy string) check[string] {
	return func(s string) (string, string) {
		if path.Clean(s) == "/" {
			return "a path below \"/\"", remedy
		}
		return "", ""
	}
}

// filled refuses "".
func filled(s string) (limit, remedy string) {
	if s == "" {
		return "a text that is not empty", ""
	}
	return "", ""
}

// named refuses what can't be a label or an owner id.
func named(s string) (limit, remedy string) {
	if !labelPattern.MatchString(s) {
		return nameLimit, ""
	}
	return "", ""
}

// oneOf refuses other words.
func oneOf(words ...string) check[string] {
	return func(s string) (string, string) {
		if slices.Contains(words, s) {
			return "", ""
		}
		if n := near(s, words); n != "" {
			return quoted(words), "Did you mean " + quote(n) + "?"
		}
		return quoted(words), ""
	}
}

// digest refuses what is no SHA-256 sum.
func digest(s string) (limit, remedy string) {
	if !sha256Pattern.MatchString(s) {
		return "64 hexadecimal digits", "sha256sum prints them."
	}
	return "", ""
}

// executable refuses a command that is neither absolute nor a plain file name.
func executable(s string) (limit, remedy string) {
	switch {
	case path.IsAbs(s):
		return absolute(s)
	case s == "" || s == "." || s == ".." || strings.Contains(s, "/"):
		return "an absolute path, or the name of a file in plugin_dir", "Arguments can't be given; settings go into the config block."
	}
	return "", ""
}

// listen refuses what is no host:port.
func listen(s string) (limit, remedy string) {
	limit, remedy = "host:port", "As in \"127.0.0.1:9464\"."
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return limit, remedy
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 || strconv.Itoa(n) != port {
		return "host:port with a port from 0 to 65535", remedy
	}
	return "", ""
}

// everywhere reports whether an address listens on every interface.
func everywhere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "" || ip != nil && ip.IsUnspecified())
}

// urlPath refuses what is no path of a URL.
func urlPath(s string) (limit, remedy string) {
	if !strings.HasPrefix(s, "/") || strings.ContainsAny(s, " #") {
		return "a path that begins with \"/\"", "The host and the port are those of the endpoint. Write only the path, as in \"/healthz\"."
	}
	return "", ""
}

// user refuses what is no uid:gid in numbers.
func user(s string) (limit, remedy string) {
	limit, remedy = "\"uid:gid\" in numbers", "As in \"1000:1000\"; names are known only inside the image."
	if !userPattern.MatchString(s) {
		return limit, remedy
	}
	for id := range strings.SplitSeq(s, ":") {
		if n, err := strconv.ParseUint(id, 10, 32); err != nil || n == 1<<32-1 {
			return limit, remedy
		}
	}
	return "", ""
}

// mode refuses what are no permissions in octal.
func mode(s string) (limit, remedy string) {
	if !modePattern.MatchString(s) {
		return "permissions in octal from \"0000\" to \"0777\"", "As in \"0700\"."
	}
	return "", ""
}

// variable judges an environment variable.
func variable(name, value string) (problem, remedy string) {
	switch {
	case name == "" || strings.ContainsAny(name, "= \t") || !printable(name):
		return "is no name of a variable", "A name is not empty and has no \"=\", space or control character."
	case strings.ContainsRune(value, 0):
		return "has a NUL character in its value", "Remove it."
	}
	return "", ""
}
