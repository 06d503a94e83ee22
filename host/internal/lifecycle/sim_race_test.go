//go:build race

package lifecycle_test

// simPlans is how many plans a run draws, of 60 steps on average. The race detector makes
// each several times as slow.
const simPlans, simFloor = 500, 25_000
