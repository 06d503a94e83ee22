// Package api has the words that the engine, the API and its clients share: a session
// as it is seen, what is asked of one, what a watcher is told, and the errors. host and
// host/client alias them, so that a platform can change from the one to the other.
package api
