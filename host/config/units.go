package config

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"
)

// maxDuration keeps arithmetic on times far from its ends.
const maxDuration = 10 * 365 * 24 * time.Hour

var (
	bareNumber  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	daysOrWeeks = regexp.MustCompile(`^([0-9]{1,4})([dw])$`)
	sizePattern = regexp.MustCompile(`^([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([A-Za-z]*)$`)
)

// parseDuration reads a duration as Go writes it. The limit is not "" when it can't.
func parseDuration(text string) (d time.Duration, limit, remedy string) {
	d, err := time.ParseDuration(text)
	if err == nil && (d != 0 || !bareNumber.MatchString(text)) {
		return d, "", ""
	}
	limit = "a duration with a unit"
	remedy = "The units are ms, s, m and h, as in \"90s\" or \"1h30m\"."
	if bareNumber.MatchString(text) {
		remedy = fmt.Sprintf("Write \"%ss\" for seconds. The units are ms, s, m and h.", text)
	} else if m := daysOrWeeks.FindStringSubmatch(text); m != nil {
		var n int
		_, _ = fmt.Sscan(m[1], &n)
		hours := n * 24
		if m[2] == "w" {
			hours *= 7
		}
		remedy = fmt.Sprintf("The largest unit is the hour: write \"%dh\".", hours)
	}
	return 0, limit, remedy
}

// The units of sizes. Those that some read as powers of ten and some as powers of two
// are refused.
var sizeUnits = map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// parseSize reads a size such as "512MiB" or "1.5GiB". The limit is not "" when it can't.
func parseSize(text string) (bytes int64, limit, remedy string) {
	limit = "a size in whole bytes with a unit"
	remedy = "The units are B, KiB, MiB, GiB and TiB, as in \"512MiB\"."
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, limit, remedy
	}
	unit, known := sizeUnits[m[2]]
	if !known {
		if letter := strings.ToUpper(strings.TrimRight(m[2], "iIbB")); len(letter) == 1 && strings.Contains("KMGT", letter) {
			remedy = fmt.Sprintf("Write \"%s%siB\". The units are B, KiB, MiB, GiB and TiB.", m[1], letter)
		} else if m[2] == "" {
			remedy = fmt.Sprintf("Write \"%sB\" for bytes. The units are B, KiB, MiB, GiB and TiB.", m[1])
		}
		return 0, limit, remedy
	}
	n, ok := new(big.Rat).SetString(m[1])
	if !ok {
		return 0, limit, remedy
	}
	n.Mul(n, new(big.Rat).SetInt64(unit))
	if !n.IsInt() || !n.Num().IsInt64() {
		return 0, limit, "It comes to " + n.FloatString(3) + " bytes."
	}
	return n.Num().Int64(), "", ""
}
