package deploy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// use is one metric that an expression reads.
type use struct {
	metric string
	labels map[string][]string // by label: the values that it is compared with
}

// reading is what an expression reads.
type reading struct {
	uses   []use
	groups []string // labels in by (…), on (…) and the like
}

var (
	promToken = regexp.MustCompile(`^(?:\s+|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9]+(?:\.[0-9]+)?[smhd]?|=~|!~|!=|==|>=|<=|[{}(),=<>+*/%-])`)
	promName  = regexp.MustCompile(`^[a-zA-Z_:]`)
	words     = regexp.MustCompile(`^[a-z_]+(\|[a-z_]+)*$`)

	promFunctions = []string{"sum", "min", "max", "avg", "count", "rate", "increase", "histogram_quantile"}
	promGroups    = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
	promOperators = []string{"and", "or", "unless", "bool"}
)

// readPromQL tells what an expression reads. It knows the part of the language that the
// files here are written in, and refuses the rest.
func readPromQL(expr string) (reading, error) {
	var r reading
	tokens, err := promTokens(expr)
	if err != nil {
		return r, err
	}
	at := func(i int) string {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	depth := 0
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch {
		case t == "(":
			depth++
		case t == ")":
			if depth--; depth < 0 {
				return r, fmt.Errorf("a parenthesis too many is closed: %s", expr)
			}
		case t == "{":
			return r, fmt.Errorf("a selector without a metric: %s", expr)
		case !promName.MatchString(t), slices.Contains(promOperators, t):
		case slices.Contains(promGroups, t):
			if at(i+1) != "(" {
				return r, fmt.Errorf("%s without labels: %s", t, expr)
			}
			for i += 2; at(i) != ")"; i++ {
				if at(i) == "" {
					return r, fmt.Errorf("labels without an end: %s", expr)
				}
				if at(i) != "," {
					r.groups = append(r.groups, at(i))
				}
			}
		case at(i+1) == "(" || slices.Contains(promGroups, at(i+1)) && slices.Contains(promFunctions, t):
			if !slices.Contains(promFunctions, t) {
				return r, fmt.Errorf("%s is none of the functions %v: %s", t, promFunctions, expr)
			}
		default:
			u := use{metric: t, labels: map[string][]string{}}
			if at(i+1) == "{" {
				if i, err = u.selector(tokens, i+2); err != nil {
					return r, fmt.Errorf("%w: %s", err, expr)
				}
			}
			r.uses = append(r.uses, u)
		}
	}
	if depth != 0 {
		return r, fmt.Errorf("%d parentheses are not closed: %s", depth, expr)
	}
	if len(r.uses) == 0 {
		return r, fmt.Errorf("it reads no metric: %s", expr)
	}
	return r, nil
}

// selector reads label matchers up to the closing brace, and returns its place.
func (u *use) selector(tokens []string, i int) (int, error) {
	for ; i+2 < len(tokens); i += 3 {
		label, operator, value := tokens[i], tokens[i+1], tokens[i+2]
		if !promName.MatchString(label) || !strings.Contains(" = != =~ !~ ", " "+operator+" ") || value[0] != '"' {
			return 0, fmt.Errorf("%s %s %s is no matcher", label, operator, value)
		}
		values := []string{}
		if value = value[1 : len(value)-1]; words.MatchString(value) {
			values = strings.Split(value, "|")
		}
		u.labels[label] = append(u.labels[label], values...)
		if i+3 < len(tokens) && tokens[i+3] == "}" {
			return i + 3, nil
		}
		if i+3 < len(tokens) && tokens[i+3] == "," {
			i++
		}
	}
	return 0, fmt.Errorf("the selector of %s has no end", u.metric)
}

func promTokens(expr string) ([]string, error) {
	var tokens []string
	for rest := expr; rest != ""; {
		t := promToken.FindString(rest)
		if t == "" {
			return nil, fmt.Errorf("%.20q can't be read: %s", rest, expr)
		}
		rest = rest[len(t):]
		if strings.TrimSpace(t) != "" {
			tokens = append(tokens, t)
		}
	}
	return tokens, nil
}

// ofPrometheus are labels and metrics that Prometheus adds by itself.
var ofPrometheus = map[string]family{"up": {kind: "gauge"}}

// check holds an expression against what a host exposes, and returns the families that
// it reads.
func (f families) check(expr string) ([]string, error) {
	r, err := readPromQL(expr)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{"instance": true, "job": true}
	names := map[string]bool{}
	for _, u := range r.uses {
		name, fam, err := f.find(u.metric)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, expr)
		}
		if _, ours := f[name]; ours {
			names[name] = true
		}
		labels := map[string]bool{"instance": true, "job": true, "le": strings.HasSuffix(u.metric, "_bucket")}
		for _, l := range fam.labels {
			labels[l] = true
		}
		for _, l := range slices.Sorted(maps.Keys(u.labels)) {
			if !labels[l] {
				return nil, fmt.Errorf("%s has no label %s, it has %v: %s", u.metric, l, fam.labels, expr)
			}
			for _, v := range u.labels[l] {
				if closed, ok := labelValues(name, l); ok && !slices.Contains(closed, v) {
					return nil, fmt.Errorf("label %s of %s is never %q, it is one of %v: %s", l, u.metric, v, closed, expr)
				}
			}
		}
		for l, there := range labels {
			known[l] = known[l] || there
		}
	}
	for _, l := range r.groups {
		if !known[l] {
			return nil, fmt.Errorf("nothing in it has the label %s: %s", l, expr)
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// find is the family of a series.
func (f families) find(series string) (string, family, error) {
	if fam, ok := ofPrometheus[series]; ok {
		return series, fam, nil
	}
	if fam, ok := f[series]; ok {
		if fam.kind == "histogram" {
			return "", fam, fmt.Errorf("%s is a histogram: there is %s_bucket, _sum and _count", series, series)
		}
		return series, fam, nil
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if name, ok := strings.CutSuffix(series, suffix); ok && f[name].kind == "histogram" {
			return name, f[name], nil
		}
	}
	return "", family{}, fmt.Errorf("a host exposes no %s", series)
}

// labelValues are the values that a label may have, where that is a closed list.
func labelValues(name, label string) ([]string, bool) {
	classes := []string{"not_found", "conflict", "unavailable", "invalid_argument", "unsupported", "exhausted", "canceled", "internal"}
	reasons := []string{"expired", "deleted", "exited", "oom_killed", "removed", "failed", "lost"}
	if name == "berth_plugin_restarts_total" {
		reasons = []string{"died", "hung", "start_failed", "changed"}
	}
	values, ok := map[string][]string{
		"operation":  {"create", "stop", "delete", "list_active"},
		"result":     {"created", "stopped", "deleted", "not_found", "listed", "error"},
		"status":     {"creating", "running", "stopping", "stopped", "deleting", "unknown"},
		"action":     {"deleted", "adopted", "foreign", "unreadable"},
		"error_type": classes, "code": append([]string{"ok"}, classes...),
		"reason": reasons,
	}[label]
	return values, ok
}
