package config

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/berth-dev/berth/sdk/provider"
)

// constrain judges a value of the attribute's type by the attribute's constraints; of a
// list or a map, each element. The limit says what it must be; "" when it is that. Neither
// text holds the value.
func constrain(a provider.Attribute, pattern *regexp.Regexp, v cty.Value) (limit, remedy string) {
	switch a.Type {
	case provider.TypeString:
		return constrainText(a, pattern, v.AsString())
	case provider.TypeInt:
		f := v.AsBigFloat()
		if _, exact := f.Int64(); !f.IsInt() || exact != big.Exact {
			return "a whole number of 64 bits", ""
		}
		return bounds(a, f, plainNumber)
	case provider.TypeNumber:
		return bounds(a, v.AsBigFloat(), plainNumber)
	case provider.TypeDuration:
		d, limit, remedy := parseDuration(v.AsString())
		if limit != "" {
			return limit, remedy
		}
		return bounds(a, new(big.Float).Quo(big.NewFloat(float64(d)), big.NewFloat(1e9)), seconds)
	case provider.TypeBytes:
		n, limit, remedy := parseSize(v.AsString())
		if limit != "" {
			return limit, remedy
		}
		return bounds(a, new(big.Float).SetInt64(n), bytesText)
	case provider.TypeStringList, provider.TypeStringMap:
		for _, e := range v.Elements() {
			if e.IsNull() {
				return "without null", ""
			}
			if limit, remedy := constrainText(a, pattern, e.AsString()); limit != "" {
				return limit, remedy
			}
		}
	}
	return "", ""
}

func constrainText(a provider.Attribute, pattern *regexp.Regexp, s string) (limit, remedy string) {
	if len(a.OneOf) > 0 {
		return oneOf(a.OneOf...)(s)
	}
	if pattern != nil && !pattern.MatchString(s) {
		return "a text that matches " + a.Pattern, ""
	}
	if strings.ContainsRune(s, 0) {
		return "a text without NUL", ""
	}
	return "", ""
}

// bounds judges n by the attribute's least and greatest value, written with a unit.
func bounds(a provider.Attribute, n *big.Float, write func(float64) string) (limit, remedy string) {
	low := a.Min != nil && n.Cmp(big.NewFloat(*a.Min)) < 0
	high := a.Max != nil && n.Cmp(big.NewFloat(*a.Max)) > 0
	switch {
	case !low && !high:
		return "", ""
	case a.Min != nil && a.Max != nil:
		return "from " + write(*a.Min) + " to " + write(*a.Max), ""
	case low:
		return "at least " + write(*a.Min), ""
	default:
		return "at most " + write(*a.Max), ""
	}
}

func plainNumber(n float64) string { return number(big.NewFloat(n)) }

func seconds(n float64) string { return short(time.Duration(n * float64(time.Second))) }

func bytesText(n float64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := float64(sizeUnits[unit]); n >= size && n/size == float64(int64(n/size)) {
			return fmt.Sprintf("\"%d%s\"", int64(n/size), unit)
		}
	}
	return fmt.Sprintf("\"%dB\"", int64(n))
}
