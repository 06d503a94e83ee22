package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/google/uuid"
	"go.uber.org/goleak"
)

// world is what all tests share. The names in it are of this run alone.
var world struct {
	root    string // holds everything that a run writes
	bin     string // berth, the providers, the fixture
	agent   string // the static binary that the image runs
	run     string // eight digits that are in every name
	image   string
	network string
	api     *client.Client // looks past Berth
	away    error          // why there is no daemon
	alone   error          // why there is no process provider
}

// TestMain makes the world, and sees to it that nothing of it is left. The same binary is
// also the host that the tests start, kill and start again; see hostMain.
func TestMain(m *testing.M) {
	if os.Getenv(hostEnv) != "" {
		os.Exit(hostMain())
	}
	if os.Getenv(garbageEnv) != "" {
		os.Exit(garbageMain())
	}
	if socket := os.Getenv(benchServeEnv); socket != "" {
		os.Exit(benchServe(socket))
	}
	flag.Parse()
	if p := flag.Lookup("test.parallel"); p != nil && !isSet("test.parallel") {
		_ = p.Value.Set("4") // tests wait for deadlines most of the time
	}
	os.Exit(testMain(m))
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func testMain(m *testing.M) (code int) {
	err := setUp()
	if err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, tearDown(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return code
}

func setUp() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if world.root, err = os.MkdirTemp("", "be2e-"); err != nil { // short: sockets live below it
		return err
	}
	if world.root, err = filepath.EvalSymlinks(world.root); err != nil {
		return err
	}
	if err := watchSources(); err != nil {
		return err
	}
	world.run = uuid.NewString()[:8]
	world.bin, world.agent = filepath.Join(world.root, "bin"), filepath.Join(world.root, "agent")
	world.image, world.network = "berth-e2e-"+world.run+":latest", "berth-e2e-"+world.run
	for _, dir := range []string{world.bin, tempDir()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := build(ctx, world.bin+"/", nil, "./host/cmd/berth", "./plugins/docker/cmd/...", "./plugins/process/cmd/...", "./plugins/mock/cmd/..."); err != nil {
		return err
	}
	if err := build(ctx, world.agent, []string{"GOOS=linux"}, "./plugins/docker/internal/agent"); err != nil {
		return err
	}
	world.alone = isolates()
	if world.api, err = client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation()); err != nil {
		return err
	}
	ping, cancelPing := context.WithTimeout(ctx, 5*time.Second)
	defer cancelPing()
	if _, world.away = world.api.Ping(ping); world.away != nil {
		return nil
	}
	return fixture(ctx, nil, "up", "--image", world.image, "--network", world.network, "--agent", world.agent)
}

// watchSources looks at every directory whose programs the tests run, so that a cached
// result of "go test" is not taken for theirs after one of them has changed.
func watchSources() error {
	for _, dir := range []string{"host", "plugins", "sdk", "proto"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			return err
		}
	}
	return nil
}

// tempDir is where everything that is started makes its temporary files.
func tempDir() string { return filepath.Join(world.root, "tmp") }

// build builds packages of the module as they are shipped: without cgo.
func build(ctx context.Context, out string, env []string, packages ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", out}, packages...)...)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(packages, " "), err, text)
	}
	return nil
}

// fixture makes or removes what is needed at the daemon that env, or the environment, names.
func fixture(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(world.bin, "berth-docker-fixture"), args...)
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("berth-docker-fixture %s: %w\n%s", args[0], err, text)
	}
	return nil
}

// tearDown removes the world, and tells what the tests have left in it.
func tearDown() error {
	if world.root == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var errs []error
	if world.api != nil && world.away == nil {
		errs = append(errs, leftAtDaemon(ctx))
		if err := fixture(ctx, nil, "down", "--image", world.image, "--network", world.network); !miscounted(ctx, err) {
			errs = append(errs, err)
		}
	}
	if world.api != nil {
		errs = append(errs, world.api.Close())
	}
	errs = append(errs, leftProcesses(world.root), leftFiles())
	return errors.Join(append(errs, os.RemoveAll(world.root))...)
}

// miscounted reports whether the network can't be removed since the daemon has lost count of
// its endpoints: it refuses, and lists none. Engine 20.10 does so, seldom, after containers
// were killed and removed while they started; the network goes when that daemon restarts.
func miscounted(ctx context.Context, err error) bool {
	if err == nil || !strings.Contains(err.Error(), "has active endpoints") {
		return false
	}
	have, err := world.api.NetworkInspect(ctx, world.network, network.InspectOptions{})
	if err != nil || len(have.Containers) > 0 {
		return false
	}
	if v, err := world.api.ServerVersion(ctx); err != nil || !strings.HasPrefix(v.Version, "20.10.") {
		return false
	}
	fmt.Fprintf(os.Stderr, "The daemon keeps the network %s, in which it lists nothing.\n", world.network)
	return true
}

// leftFiles tells what tests have left in the root, and programs in their temporary
// directory.
func leftFiles() error {
	var left []string
	for dir, expected := range map[string]string{world.root: " bin agent tmp ", tempDir(): ""} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !strings.Contains(expected, " "+e.Name()+" ") {
				left = append(left, filepath.Join(dir, e.Name()))
			}
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("files are left: %s", strings.Join(left, ", "))
	}
	return nil
}
