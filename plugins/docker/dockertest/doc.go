// Package dockertest makes what tests and the demo need at a Docker daemon, through its
// API alone: an image of a small static agent, which nothing has to be pulled for, and
// a network. It removes both again, and the sandboxes on the way.
//
// All that it makes bears the label [Label]. It never replaces or removes an image or a
// network without that label.
package dockertest
