package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// SessionCount is how many living sessions share provider, template and status.
type SessionCount struct {
	Provider, Template, Status string
	N                          int
}

// sessions counts at each scrape, so that it can't drift from the truth.
type sessions struct {
	desc  *prometheus.Desc
	count atomic.Pointer[func() []SessionCount]
}

func newSessions() *sessions {
	return &sessions{desc: prometheus.NewDesc("berth_sessions", "Sessions that have not ended.",
		[]string{"provider", "template", "status"}, nil)}
}

// Sessions says who counts the sessions. Before it is called there are none.
func (m *Metrics) Sessions(count func() []SessionCount) { m.sessions.count.Store(&count) }

// Describe implements prometheus.Collector.
func (s *sessions) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }

// Collect implements prometheus.Collector.
func (s *sessions) Collect(ch chan<- prometheus.Metric) {
	count := s.count.Load()
	if count == nil {
		return
	}
	// Summed up here: the same labels twice would spoil the whole scrape.
	sum := map[SessionCount]int{}
	for _, c := range (*count)() {
		n := c.N
		c.N, c.Status = 0, bounded(c.Status, statuses...)
		sum[c] += n
	}
	for c, n := range sum {
		ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, float64(n), c.Provider, c.Template, c.Status)
	}
}

var statuses = []string{"creating", "running", "stopping", "stopped", "deleting", "unknown"}
