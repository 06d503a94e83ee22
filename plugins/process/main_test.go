//go:build linux

package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
)

// What all tests share.
var world struct {
	owner string
	agent string // path of the agent's static binary, in a directory that everybody may read
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) (code int) {
	world.owner = "test" + uuid.NewString()[:8]
	dir, err := os.MkdirTemp("", "berth-agent-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755)
	}
	if world.agent = os.Getenv(agentVariable); err == nil && world.agent == "" {
		world.agent, err = buildAgent(dir)
	}
	if err == nil {
		_, err = required()
	}
	leave := func() {}
	if err == nil {
		leave, err = mountVersion2()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "set-up:", err)
		return 1
	}
	defer leave()
	defer func() {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return m.Run()
}

// buildAgent builds the agent as it would be shipped: static.
func buildAgent(dir string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	path := filepath.Join(dir, "agent")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "./internal/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	return path, nil
}
