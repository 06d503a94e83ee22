package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The example runs as it is, on the plugin that runs nothing.
func TestRun(t *testing.T) {
	dir, err := os.MkdirTemp("", "berth-") // short: sockets live below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	plugin := filepath.Join(dir, "berth-provider-mock")
	if out, err := exec.Command("go", "build", "-o", plugin, "../../plugins/mock/cmd/berth-provider-mock").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "config.hcl")
	text := fmt.Sprintf(`
		state_dir = %q
		provider "mock" { command = %q }
		template "default" {
		  provider = "mock"
		  image    = "agent:1"
		  network  = "sandbox"
		}
	`, filepath.Join(dir, "state"), plugin)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), path, "1b4e28ba-2fa1-41d2-883f-0016d3cca427"); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), path, "no-uuid"); err == nil {
		t.Error("a chat that is no UUID was accepted")
	}
}
