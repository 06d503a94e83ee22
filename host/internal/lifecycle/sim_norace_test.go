//go:build !race

package lifecycle_test

// simPlans is how many plans a run draws, of 60 steps on average, and simFloor how many steps
// that are at least.
const simPlans, simFloor = 1750, 100_000
