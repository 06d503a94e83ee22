// Package client is a small Go client of the host's API, for programs beside a host that
// runs as a process of its own. It has the verbs, the words and the errors of package
// host, so that a program can change from the one to the other, or take either behind an
// interface of its own:
//
//	type Sandboxes interface {
//		Ensure(context.Context, client.CreateRequest) (client.Session, error)
//		Delete(ctx context.Context, id string) error
//	}
//
// is what both *host.Host and *client.Client are.
//
// # Errors
//
// Every verb fails with an *Error. It has the code, the ids and the text that it has in
// the host, and for a conflict about a session that session. Its cause is not there: it
// stays in the host. A host that can't be reached is CodeUnavailable, with one line that
// says where it was looked for and what to do. A context that ends is CodeUnavailable
// too, and errors.Is finds the context's own error.
//
// # Calls that are made again
//
// The client makes no call twice by itself, Watch apart. When a connection breaks, the
// caller does not know whether the call was carried out. Each of these may be made again
// as it is: Get, List, Stop, Delete, Ensure; Create with a SessionID of the caller's own,
// which gets the session that the first call made; Extend with Until, or with By and
// Seen, which then can't add twice.
package client
