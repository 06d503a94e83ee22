package wire

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// timestamp converts a time; zero is absent.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// instant converts a timestamp, in UTC; an absent or impossible one is zero.
func instant(t *timestamppb.Timestamp) time.Time {
	if !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}

// each converts the elements of a slice; nothing stays nil.
func each[A, B any](in []A, convert func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = convert(a)
	}
	return out
}

// eachErr is each for a conversion that can refuse.
func eachErr[A, B any](in []A, convert func(A) (B, error)) ([]B, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		b, err := convert(a)
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}

// utf8 makes any bytes fit for a message, whose strings must be valid: one bad name at the
// backend must not spoil the whole answer.
func utf8(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
