package sdk

import "github.com/berth-dev/berth/sdk/bytesize"

// Bytes is a size in bytes, written as "512MiB" in a configuration.
type Bytes int64

// ParseBytes reads a decimal number with one of the units B, KiB, MiB, GiB and TiB, by the
// rules of the host: exactly, up to the largest int64. Fractions are allowed where they are
// whole bytes in the end.
func ParseBytes(text string) (Bytes, error) {
	n, err := bytesize.Parse(text)
	return Bytes(n), err
}
