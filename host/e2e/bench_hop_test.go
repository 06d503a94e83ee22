package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// benchServeEnv holds the path of a unix socket, in a process that is to be the bare gRPC
// server and no test.
const benchServeEnv = "BERTH_BENCH_SERVE"

// benchHops is how many creates the hop is the median of.
const benchHops = 300

// BenchmarkHop is what Berth itself costs: a create whose provider does nothing, through
// host, lease store and plugin process, against one bare gRPC call on a unix socket, to a
// server of our own in another process.
func BenchmarkHop(b *testing.B) {
	s := bareSite(b).configure(settings{noDocker: true, more: `
provider "mock" {}
template "default" {
  provider = "mock"
  image    = "agent:1"
}
`})
	h := benchHost(b, s)
	call := benchServer(b, s.path("bench.sock"))
	create := func() time.Duration {
		begun := time.Now()
		made, err := h.Create(b.Context(), chat())
		took := time.Since(begun)
		if err != nil {
			b.Fatal(err)
		}
		if err := h.Delete(b.Context(), made.ID); err != nil { // not counted
			b.Fatal(err)
		}
		return took
	}
	for range 20 {
		create()
		call()
	}
	rpcs := func() benchSpent { return h.spent("berth_plugin_rpc_duration_seconds", "prepare", "create") }

	var hop benchRatios
	var syncs []time.Duration
	calls, commits := rpcs(), h.commits()
	for b.Loop() {
		for i := range benchHops {
			var x, y time.Duration
			benchTurn(i, func() { x = create() }, func() { y = call() })
			hop.add(x, y)
			syncs = append(syncs, benchSync(b, s.path("bench.sync")))
		}
	}
	calls, commits = rpcs().since(calls), h.commits().since(commits)

	benchNoNanos(b)
	hop.report(b, "hop-ratio", "a no-op create against one bare gRPC call")
	whole := benchMedian(hop.berth)
	// Delete commits as often as create does, and bbolt syncs twice in a commit.
	committed := benchCommitsEach * commits.mean()
	synced := 2 * benchCommitsEach * benchMedian(syncs)
	called := 2 * calls.mean()
	b.Logf("of its %s: %s in %d lease commits, of which about %s is fsync (%d of %s each); %s in 2 calls of the plugin; %s in the host",
		benchText(whole), benchText(committed), benchCommitsEach, benchText(min(synced, committed)), 2*benchCommitsEach,
		benchText(benchMedian(syncs)), benchText(called), benchText(max(0, whole-committed-called)))
	b.ReportMetric(committed.Seconds()/whole.Seconds(), "commit-share")
	b.ReportMetric(min(synced, committed).Seconds()/whole.Seconds(), "fsync-share")
}

// benchSync is how long it takes to write a page to a file and sync it.
func benchSync(b *testing.B, path string) time.Duration {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	begun := time.Now()
	if _, err := f.WriteAt(make([]byte, 4096), 0); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

// benchServer starts the bare server and returns one call of it.
func benchServer(b *testing.B, socket string) (call func() time.Duration) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), benchServeEnv+"="+socket)
	cmd.Stderr = os.Stderr
	end, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		end.Close()
		if err := cmd.Wait(); err != nil {
			b.Error("the bare server:", err)
		}
	})
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	client := grpc_health_v1.NewHealthClient(conn)
	within, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if _, err := client.Check(within, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
		b.Fatal(err)
	}
	return func() time.Duration {
		begun := time.Now()
		if _, err := client.Check(b.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun)
	}
}

// benchServe serves the least that gRPC can serve, until its standard input ends.
func benchServe(socket string) int {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bare server:", err)
		return 1
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.Stop()
	if err := <-served; err != nil {
		fmt.Fprintln(os.Stderr, "bare server:", err)
		return 1
	}
	return 0
}
