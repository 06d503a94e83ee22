//go:build linux

package process

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/providertest"
)

// What the figures of a host that is root are held against. One that is not has no shim ready.
const (
	mostOfBubblewrap  = 2.0
	leastFasterDocker = 10.0
)

// shippedVariable names the provider's binary to a test binary that can't build it.
const shippedVariable = "BERTH_TEST_SHIPPED"

// BenchmarkCreateServeDelete measures create → first HTTP 200 → delete: of this provider,
// of bubblewrap with namespaces and mounts of the same kind, and of a Docker daemon by its
// API, the three in turns. bubblewrap has no cgroups, no filter, no network of its own, no
// log and no record. Docker's container has the same limits. From the second create on a shim
// is ready; the next one is started while the one before it is used, mostly within the same turn.
func BenchmarkCreateServeDelete(b *testing.B) {
	r := newRig(b, Config{})
	shipped := os.Getenv(shippedVariable) // what shims are made of
	if shipped == "" {
		shipped = buildShipped(b, b.TempDir())
	}
	var err error
	if r.machine.self.copy, err = openHigh(shipped); err != nil {
		b.Fatal(err)
	}
	spec := func() provider.Spec { return r.newSpec() }
	wrap, err := exec.LookPath("bwrap")
	if err != nil {
		b.Skip("bubblewrap is not installed: ", err)
	}
	const rounds = 30
	docker, away := newDockerBench(b)
	if away != nil {
		b.Logf("without Docker: %v", away)
		docker = nil
	}
	var ours, bubble, whale []time.Duration
	turns := []func(){
		func() {
			ours = append(ours, took(func() { s := r.create(spec()).Sandbox; r.get(s, "/"); r.delete(s) }))
		},
		func() { bubble = append(bubble, took(func() { r.bubblewrap(b, wrap) })) },
	}
	for b.Loop() {
		for i := range rounds {
			for j := range turns {
				turns[(i+j)%len(turns)]()
			}
			if docker != nil && i%5 == 0 {
				whale = append(whale, took(func() { docker.once(b, r) }))
			}
		}
	}
	own, base := median(ours), median(bubble)
	b.ReportMetric(own.Seconds()*1e3, "process-ms")
	b.ReportMetric(base.Seconds()*1e3, "bwrap-ms")
	ratio, target := float64(own)/float64(base), os.Geteuid() == 0
	b.ReportMetric(ratio, "ratio")
	if target && ratio > mostOfBubblewrap {
		b.Errorf("%s, and bubblewrap %s: ratio %.2f, want at most %g", own, base, ratio, mostOfBubblewrap)
	}
	if len(whale) > 0 {
		theirs := median(whale)
		faster := float64(theirs) / float64(own)
		b.ReportMetric(theirs.Seconds()*1e3, "docker-ms")
		b.ReportMetric(faster, "times-faster")
		if target && faster < leastFasterDocker {
			b.Errorf("%s, and Docker %s: %.1f times faster, want at least %g", own, theirs, faster, leastFasterDocker)
		}
	}
}

// BenchmarkUnprivileged is the same on a host that is not root, without Docker.
func BenchmarkUnprivileged(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("the other benchmark runs without root already")
	}
	home := homeOfOther(b)
	shipped := buildShipped(b, home)
	for b.Loop() {
		run := exec.CommandContext(b.Context(), "/proc/self/exe", "-test.run", "^$", "-test.bench", "^BenchmarkCreateServeDelete$", "-test.benchtime", "1x")
		asOther(run, home)
		run.Env = append(run.Env, shippedVariable+"="+shipped)
		out, err := run.CombinedOutput()
		told := figure.FindAllStringSubmatch(string(out), -1)
		if err != nil || len(told) == 0 {
			b.Fatalf("%v\n%s", err, out)
		}
		for _, f := range told {
			n, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			b.ReportMetric(n, f[2])
		}
	}
}

// figure is one of those in the result line of a benchmark.
var figure = regexp.MustCompile(`\t *([0-9.]+) (\S+)`)

// BenchmarkBoundary is what the boundary costs beside the same calls made directly.
func BenchmarkBoundary(b *testing.B) {
	providertest.Benchmark(b, func() provider.Plugin { return Plugin() }, conformance(b))
}

// buildShipped builds the provider's binary as it is shipped.
func buildShipped(b *testing.B, dir string) string {
	b.Helper()
	path := filepath.Join(dir, "berth-provider-process")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", path, "./cmd/berth-provider-process")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return path
}

func took(do func()) time.Duration {
	begun := time.Now()
	do()
	return time.Since(begun)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// bubblewrap does once what a create, a GET and a delete do. Its network is the host's:
// bubblewrap has no way into one of its own.
func (r *rig) bubblewrap(b *testing.B, path string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	args := []string{"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent",
		"--new-session", "--clearenv", "--setenv", "AGENT_ID", "agent-7", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
		"--ro-bind", filepath.Dir(world.agent), "/agent"}
	img, err := r.image("")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range img.entries {
		if e.Source == "" {
			args = append(args, "--symlink", e.Link, e.Target)
		} else {
			args = append(args, "--ro-bind", e.Source, e.Target)
		}
	}
	cmd := exec.Command(path, append(args, "/agent/agent", "-listen", "127.0.0.1:"+strconv.Itoa(port))...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r.get(provider.Sandbox{Endpoint: &provider.Endpoint{IP: loopback, Port: port}}, "/")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}
