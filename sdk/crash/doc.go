// Package crash names the places between a durable write and its effect, where a crash
// hurts most, so that a test can bring one about there.
//
// In what is shipped a point is nothing: Point returns nil, is inlined, and leaves no
// trace in the binary. Built with the tag crashpoints, a process looks in the directory
// that the environment variable BERTH_CRASH names for a file with the name of each point
// that it passes. The file holds one word and one number:
//
//	kill 1    at the first hit the process kills itself, as kill -9 does
//	stop 3    at the third hit it stops itself, as kill -STOP does, until it is continued
//	fail 1    at the first hit Point returns an error, and the caller does as if the
//	          write or the effect beside it had failed without an answer
//
// A point takes its file away before it acts, and leaves its process id in a file of the
// same name with ".done" after it. Hits are counted by each process, from when it first saw
// the file.
//
// Names are "<who>.<verb>.<moment>", in lower case. Each stands at one place in the code.
// The list of those of this module is host/e2e/crashpoints_test.go, which holds it against
// the code.
package crash
