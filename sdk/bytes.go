package sdk

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes, written as "512MiB" in a configuration.
type Bytes int64

var byteUnits = []struct {
	name string
	size float64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// ParseBytes reads a number with one of the units B, KiB, MiB, GiB and TiB. Fractions
// are allowed where they are whole bytes in the end.
func ParseBytes(text string) (Bytes, error) {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || n < 0 || n*u.size > math.MaxInt64/2 || n*u.size != math.Trunc(n*u.size) {
			return 0, fmt.Errorf("%q is no size; write one such as 512MiB", text)
		}
		return Bytes(n * u.size), nil
	}
	return 0, fmt.Errorf("%q has no unit; write one of B, KiB, MiB, GiB, TiB, such as 512MiB", text)
}
