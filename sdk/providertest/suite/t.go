package suite

import "context"

// T is what a check uses of the test that it runs in. [Report] is one for programs;
// package providertest makes one of a *testing.T. The methods mean what they mean there.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // ends the goroutine of the test
	Skipf(format string, args ...any)  // ends the goroutine of the test
	Failed() bool
	Cleanup(func())
	Context() context.Context // done just before the functions of Cleanup run
	Run(name string, f func(T)) bool
}
