package config

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/berth-dev/berth/sdk/bytesize"
)

// maxDuration keeps arithmetic on times far from its ends.
const maxDuration = 10 * 365 * 24 * time.Hour

var (
	bareNumber  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	daysOrWeeks = regexp.MustCompile(`^([0-9]{1,4})([dw])$`)
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

// sizeUnits are the units in which sizes are shown.
var sizeUnits = map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// parseSize reads a size such as "512MiB" or "1.5GiB". The limit is not "" when it can't.
func parseSize(text string) (bytes int64, limit, remedy string) {
	bytes, err := bytesize.Parse(text)
	if err == nil {
		return bytes, "", ""
	}
	if bad, ok := errors.AsType[*bytesize.Error](err); ok {
		remedy = bad.Remedy
	}
	return 0, "a size in whole bytes with a unit", remedy
}
