//go:build !linux

package dockertest

func unmount(string) error { return nil }
