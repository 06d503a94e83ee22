package convert

import (
	"bytes"
	"encoding/json"
	"errors"
)

// member is one name of a JSON object, and its value as it is written.
type member struct {
	name  string
	value json.RawMessage
}

// members are those of an object, in order and with those that are given twice. data is
// JSON. Error: it is no object.
func members(data []byte) (all []member, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.New("no object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string)} // in JSON nothing else is there
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// givenTwice is the first name that an object has twice.
func givenTwice(object []byte) (name string, twice bool) {
	given, _ := members(object) // none in what is no object
	seen := map[string]bool{}
	for _, m := range given {
		if seen[m.name] {
			return m.name, true
		}
		seen[m.name] = true
	}
	return "", false
}

// deepest is how deep a body may be nested that a field's name is looked for in.
const deepest = 1000

// depth is how deep data is nested, whether it is JSON or not.
func depth(data []byte) (most int) {
	now, quoted, escaped := 0, false, false
	for _, c := range data {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			most = max(most, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return most
}
