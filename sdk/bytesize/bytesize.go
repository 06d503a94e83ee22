// Package bytesize reads sizes as a configuration writes them, such as "512MiB". The host,
// which checks them, and the SDK, which decodes them, read them here: by the same rules.
package bytesize

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

var (
	pattern = regexp.MustCompile(`^([0-9]{1,19}(?:\.[0-9]{1,18})?) ?([A-Za-z]*)$`)
	units   = map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
)

// Error says why a text is no size.
type Error struct {
	Text   string
	Remedy string // a sentence
}

func (e *Error) Error() string {
	return fmt.Sprintf("%q is no size in whole bytes with a unit: %s", e.Text, e.Remedy)
}

// Parse reads a decimal number with one of the units B, KiB, MiB, GiB and TiB, and at most
// one space between them, and returns the bytes: exactly, up to the largest int64. A
// fraction is allowed where it comes to whole bytes. Units that some read as powers of ten
// and some as powers of two are refused, as are signs and exponents. The error is an [Error].
func Parse(text string) (int64, error) {
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		return 0, &Error{text, `The units are B, KiB, MiB, GiB and TiB, as in "512MiB".`}
	}
	number, name := m[1], m[2]
	unit, known := units[name]
	if !known {
		return 0, &Error{text, otherUnit(number, name)}
	}
	n, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, &Error{text, "Write a decimal number."} // the pattern lets no other pass
	}
	n.Mul(n, new(big.Rat).SetInt64(unit))
	switch {
	case !n.IsInt():
		return 0, &Error{text, "It comes to " + n.FloatString(3) + " bytes."}
	case !n.Num().IsInt64():
		return 0, &Error{text, "It comes to " + n.Num().String() + " bytes, which is more than 64 bits hold."}
	}
	return n.Num().Int64(), nil
}

// otherUnit is the remedy for a unit that there is not.
func otherUnit(number, name string) string {
	const all = "The units are B, KiB, MiB, GiB and TiB"
	if name == "" {
		return fmt.Sprintf("Write \"%sB\" for bytes. %s.", number, all)
	}
	letter := strings.ToUpper(strings.TrimRight(name, "iIbB"))
	if len(letter) == 1 && strings.Contains("KMGT", letter) {
		return fmt.Sprintf("Write \"%s%siB\". %s.", number, letter, all)
	}
	return all + `, as in "512MiB".`
}

// Format writes bytes in the largest unit that holds them exactly, such as "10MiB"; Parse
// reads it back.
func Format(n int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := units[unit]; n != 0 && n%size == 0 {
			return fmt.Sprintf("%d%s", n/size, unit)
		}
	}
	return fmt.Sprintf("%dB", n)
}
