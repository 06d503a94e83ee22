//go:build !race

package lifecycle_test

// simPlans is how many plans a run draws, of 60 steps on average: 100,000 steps in all.
const simPlans = 1750
