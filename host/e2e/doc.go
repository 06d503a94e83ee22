// Package e2e tests the whole of Berth for real: a host in a process of its own, which is
// killed and started again, real plugin binaries, and real Docker containers. It has no
// code but tests.
package e2e
