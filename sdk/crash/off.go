//go:build !crashpoints

package crash

// Point marks a place where a test may make the process crash. It is nil without the tag
// crashpoints.
func Point(string) error { return nil }
