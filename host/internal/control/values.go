package control

import (
	"fmt"
	"math"
	"regexp"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/ids"
)

// written is a duration as it is written, of any length.
var written = regexp.MustCompile(`^[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`)

// duration reads a duration as it is written on the wire. Empty is zero: none was given.
// A zero that was given is refused, because inside the host zero means none; what is
// below zero or too much is the engine's to refuse.
func duration(field, s, without string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil && written.MatchString(s) {
		return 0, fmt.Errorf("%s: %q is too long; the limit of a duration is %v, and max_ttl is less: give less, such as 24h", field, clip(s), time.Duration(math.MaxInt64).Truncate(time.Second))
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no duration; give one such as 90s, 5m or 1h30m", field, clip(s))
	}
	if d == 0 {
		return 0, fmt.Errorf("%s: %s is not over 0; give more, such as 5m, or %s", field, clip(s), without)
	}
	return d, nil
}

// instant reads a time. Nil is the zero time: none was given.
func instant(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, fmt.Errorf("%s: seconds %d, nanos %d is no time; give one from the years 1 to 9999, with nanos from 0 to 999999999", field, t.GetSeconds(), t.GetNanos())
	}
	if t.AsTime().IsZero() {
		return time.Time{}, fmt.Errorf("%s: %s is a time that was never set; give a deadline, or leave it out", field, t.AsTime().Format(time.RFC3339))
	}
	return t.AsTime(), nil
}

// refused is invalid_argument for what exists on the wire alone. The ids are told when
// they are some.
func refused(op, chat, session string, err error) error {
	return &api.Error{Code: api.CodeInvalidArgument, Op: op, ChatID: canonical(chat), SessionID: canonical(session), Message: err.Error()}
}

func canonical(s string) string {
	id, _ := ids.Parse(s)
	return id
}

// clip shortens what a caller wrote.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
