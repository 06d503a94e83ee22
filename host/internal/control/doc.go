// Package control serves the host's API: Connect, gRPC and gRPC-Web on one handler, with
// JSON for curl, gRPC reflection and health. It also listens on the host's socket.
//
// What a caller may ask is checked in two places, and nothing in both. The engine checks
// what an embedding program can get wrong too: ids, limits, metadata. This package checks
// what exists on the wire alone: JSON, durations and times as they are written, pages,
// the size of a body.
package control
