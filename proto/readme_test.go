package proto_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README names the values that the tests here use, and files that are there.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{cookie, cookieValue, lifelineName, "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_CLIENT_CERT",
		"1|1|unix|<path of the socket>|grpc|<certificate>", "grpc-status-details-bin"} {
		if !strings.Contains(string(text), word) {
			t.Errorf("the README does not say %q", word)
		}
	}
	files := regexp.MustCompile("`((?:sdk|host)/[a-z_/.]+)`|\\]\\(([a-z_0-9./]+)\\)").FindAllStringSubmatch(string(text), -1)
	if len(files) < 10 {
		t.Fatalf("%d files", len(files))
	}
	for _, f := range files {
		path := f[2]
		if f[1] != "" {
			path = filepath.Join("..", f[1])
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the README names a file that is not there: %v", err)
		}
	}
}
