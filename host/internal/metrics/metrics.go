// Package metrics are the host's collectors, on the registerer that it is given. Labels
// are bounded and never hold an id; units are base units.
package metrics

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-dev/berth/host/internal/lease"
	"github.com/berth-dev/berth/sdk/provider"
)

// ResultError is the result of an operation that failed.
const ResultError = "error"

// other stands for a value that is not on a label's list.
const other = "other"

// Metrics are the collectors of one host. Every method may be called concurrently.
type Metrics struct {
	registerer prometheus.Registerer
	registered []prometheus.Collector

	operations  *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	ended       *prometheus.CounterVec
	expiryLag   *prometheus.HistogramVec
	orphans     *prometheus.CounterVec
	badAnswers  *prometheus.CounterVec
	changes     *prometheus.CounterVec
	up          *prometheus.GaugeVec
	restarts    *prometheus.CounterVec
	rpc         *prometheus.HistogramVec
	leaseCommit prometheus.Histogram
	sessions    *sessions
}

// New registers the collectors. Two hosts on one registerer need a label or a prefix
// each: see prometheus.WrapRegistererWith.
func New(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		registerer: reg,
		operations: histogram("sandbox_runtime_operation_duration_seconds", "How long operations on a provider took, by their result.",
			[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}, "provider", "operation", "result"),
		failures:   counter("sandbox_runtime_errors_total", "Operations on a provider that failed, by the class of the error.", "provider", "operation", "error_type"),
		ended:      counter("berth_sessions_ended_total", "Sessions that ended, by the reason.", "provider", "reason"),
		expiryLag:  histogram("berth_expiry_lag_seconds", "From a session's deadline to the start of its teardown.", []float64{.001, .005, .01, .05, .1, .5, 1, 5, 30, 60, 300, 600}, "provider"),
		orphans:    counter("berth_orphans_total", "Sandboxes without a session, once each, by what was done about them.", "provider", "action"),
		badAnswers: counter("berth_plugin_bad_answers_total", "Answers of a plugin that can't be true and were not believed, by the verb.", "provider", "method"),
		changes:    counter("berth_backend_changes_total", "Times that a provider's backend came to be another one than its sessions'.", "provider"),
		up:         prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "berth_plugin_up", Help: "Whether the provider's plugin is configured and answers."}, []string{"provider"}),
		restarts:   counter("berth_plugin_restarts_total", "Launches of a plugin after its first, by the reason.", "provider", "reason"),
		rpc: histogram("berth_plugin_rpc_duration_seconds", "How long calls to a plugin took, by their outcome.",
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, "provider", "method", "code"),
		leaseCommit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "berth_lease_commit_seconds", Help: "How long a commit of the lease store took, the sync to disk included.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}}),
		sessions: newSessions(),
	}
	for _, c := range []prometheus.Collector{m.operations, m.failures, m.ended, m.expiryLag, m.orphans, m.badAnswers, m.changes, m.up, m.restarts, m.rpc, m.leaseCommit, m.sessions} {
		if err := reg.Register(c); err != nil {
			m.Close()
			var twice prometheus.AlreadyRegisteredError
			if errors.As(err, &twice) {
				return nil, fmt.Errorf("metrics: another host is on this registerer; give each a label with prometheus.WrapRegistererWith: %w", err)
			}
			return nil, fmt.Errorf("metrics: %w", err)
		}
		m.registered = append(m.registered, c)
	}
	return m, nil
}

// Close takes the collectors off the registerer.
func (m *Metrics) Close() {
	for _, c := range m.registered {
		m.registerer.Unregister(c)
	}
	m.registered = nil
}

// OperationDone records one operation on a provider. With an error the result is "error",
// whatever it says, and the error's class is counted; "adopted" counts as "created".
func (m *Metrics) OperationDone(providerName, operation, result string, err error, took time.Duration) {
	operation = bounded(operation, "create", "stop", "delete", "list_active")
	switch {
	case err != nil:
		result = ResultError
		m.failures.WithLabelValues(providerName, operation, class(err)).Inc()
	case result == "adopted":
		result = "created"
	}
	result = bounded(result, "created", "stopped", "deleted", "not_found", "listed", ResultError)
	m.operations.WithLabelValues(providerName, operation, result).Observe(took.Seconds())
}

// Ended counts a session's end.
func (m *Metrics) Ended(providerName string, reason lease.Reason) {
	m.ended.WithLabelValues(providerName, bounded(string(reason), "expired", "deleted", "exited", "oom_killed", "removed", "failed", "lost")).Inc()
}

// ExpiryLag records the time from a deadline to the start of its teardown.
func (m *Metrics) ExpiryLag(providerName string, lag time.Duration) {
	m.expiryLag.WithLabelValues(providerName).Observe(max(0, lag).Seconds())
}

// Orphan counts a sandbox without a session.
func (m *Metrics) Orphan(providerName, action string) {
	m.orphans.WithLabelValues(providerName, bounded(action, "deleted", "adopted", "foreign", "unreadable")).Inc()
}

// PluginUp tells whether a plugin is configured and answers.
func (m *Metrics) PluginUp(providerName string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.up.WithLabelValues(providerName).Set(value)
	m.changes.WithLabelValues(providerName) // shown from the start: the first change is a rise
}

// PluginRestarted counts a launch of a plugin after its first.
func (m *Metrics) PluginRestarted(providerName, reason string) {
	m.restarts.WithLabelValues(providerName, bounded(reason, "died", "hung", "start_failed", "changed", "reloaded")).Inc()
}

// BadAnswer counts an answer of a plugin that was not believed.
func (m *Metrics) BadAnswer(providerName, method string) {
	m.badAnswers.WithLabelValues(providerName, boundedMethod(method)).Inc()
}

// OtherBackend counts that a provider's backend came to be another one.
func (m *Metrics) OtherBackend(providerName string) {
	m.changes.WithLabelValues(providerName).Inc()
}

// RPC records one call to a plugin; code is "ok" or the error's class.
func (m *Metrics) RPC(providerName, method, code string, took time.Duration) {
	if code != "ok" {
		code = bounded(code, classes()...)
	}
	m.rpc.WithLabelValues(providerName, boundedMethod(method), code).Observe(took.Seconds())
}

func boundedMethod(method string) string {
	return bounded(method, "info", "schemas", "validate", "configure", "drain", "prepare", "create", "get",
		"list", "stop", "delete", "health", "identity", "logs", "events")
}

// Forget takes away the series of a provider that is gone. The counts of its sessions are
// the engine's.
func (m *Metrics) Forget(providerName string) {
	of := prometheus.Labels{"provider": providerName}
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.operations, m.failures, m.ended, m.expiryLag, m.orphans, m.up, m.restarts, m.rpc, m.badAnswers, m.changes} {
		v.DeletePartialMatch(of)
	}
}

// LeaseCommit records one commit of the lease store.
func (m *Metrics) LeaseCommit(took time.Duration) { m.leaseCommit.Observe(took.Seconds()) }

func class(err error) string { return bounded(string(provider.ClassOf(err)), classes()...) }

func classes() []string {
	var names []string
	for _, c := range provider.Classes() {
		names = append(names, string(c))
	}
	return names
}

// bounded folds a value that is not on the list, so that no label grows without end.
func bounded(value string, list ...string) string {
	if slices.Contains(list, value) {
		return value
	}
	return other
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}
