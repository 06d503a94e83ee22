package docker

import (
	"fmt"
	"time"
)

// formatTime writes t as the labels have it: ISO 8601 in UTC with a numeric offset, six
// digits of fraction only when there is a fraction. Older readers refuse "Z" and
// nanoseconds.
func formatTime(t time.Time) string {
	t = t.UTC().Truncate(time.Microsecond)
	if t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05+00:00")
	}
	return t.Format("2006-01-02T15:04:05.000000+00:00")
}

// parseTime reads what formatTime wrote, and the spellings of others: "Z", any offset
// with or without its colon, a space for the "T", any fraction. A time without an
// offset names no instant and is refused.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{
		"2006-01-02T15:04:05Z07:00",
		"2006-01-02T15:04:05Z0700",
		"2006-01-02 15:04:05Z07:00",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Truncate(time.Microsecond), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not an ISO 8601 time with an offset", s)
}
