// Package convert turns the host's words into the API's messages and back, and writes and
// reads the API's JSON. Both ends of the wire use it, so that a session looks the same in
// an answer, in a client, and on a terminal.
package convert
