package settings

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/bytesize"
	"github.com/berth-dev/berth/sdk/provider"
	"github.com/berth-dev/berth/sdk/schemadoc"
)

// judge tells what is wrong with a value, and the remedy; "" when nothing is.
func judge(a provider.Attribute, value any) (wrong, remedy string) {
	no := func(example string) (string, string) {
		shown := show(value)
		if a.Sensitive {
			shown = "the value"
		}
		return fmt.Sprintf("%s is no %s", shown, a.Type), "Write " + example + "."
	}
	switch a.Type {
	case provider.TypeBool:
		if _, ok := value.(bool); !ok {
			return no("true or false")
		}
	case provider.TypeString:
		text, ok := value.(string)
		if !ok {
			return no(`a text in quotes`)
		}
		return judgeText(a, text)
	case provider.TypeInt:
		n, ok := value.(json.Number)
		whole, err := strconv.ParseInt(n.String(), 10, 64)
		if !ok || err != nil {
			return no("a whole number, such as 8")
		}
		return judgeAmount(a, float64(whole), n.String())
	case provider.TypeNumber:
		n, ok := value.(json.Number)
		f, err := n.Float64()
		if !ok || err != nil {
			return no("a number, such as 0.5")
		}
		return judgeAmount(a, f, n.String())
	case provider.TypeDuration:
		text, ok := value.(string)
		d, err := time.ParseDuration(text)
		if !ok || err != nil {
			return no(`a duration, such as "90s"`)
		}
		return judgeAmount(a, d.Seconds(), text)
	case provider.TypeBytes:
		text, ok := value.(string)
		n, err := bytesize.Parse(text)
		if !ok || err != nil {
			return no(`a size, such as "512MiB"`)
		}
		return judgeAmount(a, float64(n), text)
	case provider.TypeStringList:
		list, ok := value.([]any)
		if !ok {
			return no(`a list of texts, such as ["a", "b"]`)
		}
		for _, one := range list {
			text, ok := one.(string)
			if !ok {
				return no(`a list of texts, such as ["a", "b"]`)
			}
			if wrong, remedy := judgeText(a, text); wrong != "" {
				return wrong, remedy
			}
		}
	case provider.TypeStringMap:
		object, ok := value.(map[string]any)
		if !ok {
			return no(`a map of texts, such as {"a": "b"}`)
		}
		for _, one := range object {
			if _, ok := one.(string); !ok {
				return no(`a map of texts, such as {"a": "b"}`)
			}
		}
	default:
		return fmt.Sprintf("its schema has the type %q, which there is not", a.Type), "Correct the schema."
	}
	return "", ""
}

func judgeText(a provider.Attribute, text string) (wrong, remedy string) {
	shown := strconv.Quote(text)
	if a.Sensitive {
		shown = "the value"
	}
	if strings.ContainsRune(text, 0) {
		return shown + " has a NUL in it", "Remove it."
	}
	if len(a.OneOf) > 0 && !slices.Contains(a.OneOf, text) {
		return shown + " is not allowed", "Allowed are " + strings.Join(a.OneOf, ", ") + "."
	}
	if a.Pattern != "" {
		re, err := regexp.Compile(a.Pattern)
		if err != nil {
			return "its schema's pattern is no regular expression: " + err.Error(), "Correct the schema."
		}
		if !re.MatchString(text) {
			return fmt.Sprintf("%s does not match %s", shown, a.Pattern), "Correct the value."
		}
	}
	return "", ""
}

// judgeAmount compares in the unit of the schema: seconds, bytes, or none.
func judgeAmount(a provider.Attribute, n float64, shown string) (wrong, remedy string) {
	if a.Sensitive {
		shown = "the value"
	}
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return shown + " is not finite", "Write a finite number."
	case a.Min != nil && n < *a.Min:
		return fmt.Sprintf("%s is below %s", shown, schemadoc.Amount(a.Type, *a.Min)), limits(a)
	case a.Max != nil && n > *a.Max:
		return fmt.Sprintf("%s is above %s", shown, schemadoc.Amount(a.Type, *a.Max)), limits(a)
	}
	return "", ""
}

// limits is the remedy for an amount out of bounds.
func limits(a provider.Attribute) string {
	switch {
	case a.Min == nil:
		return "At most " + schemadoc.Amount(a.Type, *a.Max) + " is allowed."
	case a.Max == nil:
		return "At least " + schemadoc.Amount(a.Type, *a.Min) + " is needed."
	}
	return "Allowed is " + schemadoc.Amount(a.Type, *a.Min) + " to " + schemadoc.Amount(a.Type, *a.Max) + "."
}

// zero is the value of what is neither set nor has a default.
func zero(t provider.Type) any {
	switch t {
	case provider.TypeBool:
		return false
	case provider.TypeInt, provider.TypeNumber:
		return 0
	case provider.TypeDuration:
		return "0s"
	case provider.TypeBytes:
		return "0B"
	case provider.TypeStringList:
		return []string{}
	case provider.TypeStringMap:
		return map[string]string{}
	}
	return ""
}

// show is a value for people, cut to a sane length.
func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "it"
	}
	if len(text) > 80 {
		return string(text[:80]) + "…"
	}
	return string(text)
}
