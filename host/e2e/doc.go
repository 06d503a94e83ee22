// Package e2e tests the whole of Berth for real: a host in a process of its own, which is
// killed and started again, real plugin binaries, and real sandboxes: Docker containers, and
// process trees. It has no code but tests.
//
// What is true of sandboxes in general is tested on each kind of backend, in subtests that
// bear its name; see onEach. A table in both_test.go tells which tests are of one alone, and why.
//
// # The chaos run
//
// "make chaos" builds berth and a provider with crash points (see package crash) and a wall
// clock that can be set, and lets clients create, ensure, extend, stop and delete without a
// pause, while faults are given. The provider is Docker's, or with PROVIDER=process that of
// processes. Its parts:
//
//   - A lane is one host with its clients, its sandboxes' ground, and its schedule. There are
//     as many at a time as LANES says, two at least.
//   - A ground is what sandboxes are on. On Docker every other lane is on the machine's daemon,
//     with a network and readiness; the others have private daemons, which are killed and
//     stopped too, and all are cut off from theirs. On the process provider each has a state
//     directory, which is full at times, or gone, or another one, and every other one has
//     endpoints and readiness.
//   - The plan is drawn from the seed, and dealt out to the lanes: each crash point 20 times,
//     with kill -9, stop and fail in turn, and 500 faults more at random moments.
//     How calls come between each other is not drawn. What nobody has met, as a point that
//     no call passed in time, is tried anew later.
//   - The model keeps what was asked for and what was acknowledged, and so how long each
//     session has to live, and may.
//   - The auditor lists what is there past Berth, three times a second: the daemon's
//     containers, or the records of the state directory and the processes of the machine. It
//     holds that against the model. So are all answers, and what a watcher is told.
//   - After every 15 faults the world is left alone: the provider has to become READY, and
//     all that is overdue has to go in time.
//
// The run stops at the first promise that does not hold, and tells the seed, the faults
// given, and what became of every session. A run of 90 minutes, as it is by default, fails too
// when it was not given the whole plan; a shorter one is a part, and tells what it left out.
// Where all hold, nothing is left of any sandbox in the end: on the process provider no
// process, directory, cgroup or mount. -chaos.keep names a directory for the hosts' logs;
// -chaos.only takes a part of the names of the faults to give.
package e2e
