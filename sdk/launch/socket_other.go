//go:build !linux

package launch

// maxSocketPath is the longest path of a unix socket, in bytes: sun_path without its
// final zero.
const maxSocketPath = 103
