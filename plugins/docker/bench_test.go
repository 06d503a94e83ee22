package docker

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/google/uuid"

	"github.com/berth-dev/berth/sdk/provider"
)

// BenchmarkList compares the provider's List of 500 containers, created and not
// started, with one bare list call of the same filters, the two in turns.
func BenchmarkList(b *testing.B) {
	r := newRig(b, Config{})
	const containers, pairs = 500, 40
	run := uuid.NewString()[:8]
	work := make(chan int)
	var makers sync.WaitGroup
	for range 8 {
		makers.Go(func() {
			for i := range work {
				labels := sixLabels(map[string]string{labelOwner: world.owner})
				made, err := r.api.ContainerCreate(b.Context(), &container.Config{Image: world.image, Labels: labels},
					&container.HostConfig{NetworkMode: container.NetworkMode(world.network)}, nil, nil, "berth-bench-"+run+"-"+strconv.Itoa(i))
				if err != nil {
					b.Error(err)
					continue
				}
				b.Cleanup(func() { r.removeByName(made.ID) })
			}
		})
	}
	for i := range containers {
		work <- i
	}
	close(work)
	makers.Wait()

	want := filters.NewArgs()
	for _, key := range sessionLabels {
		want.Add("label", key)
	}
	bare := func() int {
		list, err := r.api.ContainerList(b.Context(), container.ListOptions{All: true, Filters: want})
		if err != nil {
			b.Fatal(err)
		}
		return len(list)
	}
	ours := func() (n int) {
		if _, err := r.List(b.Context(), func(provider.Sandbox) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
		return n
	}
	if x, y := bare(), ours(); x < containers || y < containers {
		b.Fatalf("%d and %d are listed, want at least %d", x, y, containers)
	}
	var bareTimes, ourTimes []time.Duration
	for b.Loop() {
		for i := range pairs {
			turns := []func(){
				func() { begun := time.Now(); bare(); bareTimes = append(bareTimes, time.Since(begun)) },
				func() { begun := time.Now(); ours(); ourTimes = append(ourTimes, time.Since(begun)) },
			}
			turns[i%2]()
			turns[1-i%2]()
		}
	}
	slices.Sort(bareTimes)
	slices.Sort(ourTimes)
	base, own := bareTimes[len(bareTimes)/2], ourTimes[len(ourTimes)/2]
	b.ReportMetric(float64(base.Microseconds())/1e3, "bare-ms")
	b.ReportMetric(float64(own.Microseconds())/1e3, "list-ms")
	b.ReportMetric(float64(own)/float64(base), "ratio")
}
