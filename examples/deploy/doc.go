// Package deploy holds what a deployment of Berth copies: a systemd unit, a Dockerfile and
// a Compose file, Prometheus rules, a Grafana dashboard, and a Python client. Its tests
// run them, or hold them against a real host.
package deploy
