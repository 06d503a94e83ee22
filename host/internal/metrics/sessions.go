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
	for _, c := range (*count)() {
		ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, float64(c.N), c.Provider, c.Template, c.Status)
	}
}
