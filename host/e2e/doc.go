// Package e2e tests the whole of Berth for real: a host in a process of its own, which is
// killed and started again, real plugin binaries, and real sandboxes: Docker containers, and
// process trees. It has no code but tests.
//
// What is true of sandboxes in general is tested on each kind of backend, in subtests that
// bear its name; see onEach. A table in both_test.go tells which tests are of one alone, and why.
//
// # The chaos run
//
// "make chaos" builds berth and the Docker provider with crash points (see package crash)
// and a wall clock that can be set, and lets clients create, ensure, extend, stop and delete
// without a pause, while faults are given. Its parts:
//
//   - A lane is one host with its clients, its daemon, and its schedule. There are two at a
//     time: one on the machine's daemon, with a network and readiness; one on a private
//     daemon, which is killed and stopped too.
//   - The plan of a lane is drawn from the seed: each crash point 20 times on one lane or
//     the other, with kill -9, stop and fail in turn, and 500 faults more at random moments.
//     How calls come between each other is not drawn.
//   - The model keeps what was asked for and what was acknowledged, and so how long each
//     session has to live, and may.
//   - The auditor lists the daemon's containers past Berth, three times a second, and holds
//     them against the model. So do all answers, and a watcher.
//   - After every 15 faults the world is left alone: the provider has to become READY, and
//     all that is overdue has to go in time.
//
// The run stops at the first promise that does not hold, and tells the seed, the faults
// given, and what became of every session. -chaos.keep names a directory for the hosts'
// logs; -chaos.only takes a part of the names of the faults to give.
package e2e
