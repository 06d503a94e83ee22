// Package dockertest makes what tests and the demo need at a Docker daemon, through its
// API alone: an image of a small static agent, which nothing has to be pulled for, and
// a network. It removes both again, and the sandboxes on the way.
//
// It starts private daemons too, for tests that kill them; see [Daemon]. A whole current
// engine, on which all tests that need Docker can run, is what its command berth-engine
// starts.
//
// All that it makes at a daemon bears the label [Label]. It never replaces or removes an image or a
// network without that label.
package dockertest
