// Package control serves the host's API: Connect, gRPC and gRPC-Web on one handler, with
// JSON for curl, gRPC reflection and health. It also listens on the host's socket.
//
// What a caller may ask is checked in two places, and nothing in both. The engine checks
// what an embedding program can get wrong too: ids, limits, metadata. This package checks
// what exists on the wire alone: JSON, durations and times as they are written, pages,
// the size of a body.
//
// Nobody waits for a caller for ever: a request's body has 30 s to arrive, each piece of an
// answer 30 s to be taken, and the next message of a reflection stream 2 minutes to come.
// How many connections there may be at once is told at Serve.
package control
