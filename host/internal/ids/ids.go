// Package ids reads the ids of sessions and chats, which are UUIDs.
package ids

import (
	"errors"

	"github.com/google/uuid"
)

var errNoUUID = errors.New("not a UUID")

// Parse reads a UUID in each of its four spellings (with hyphens, without, in braces, as a
// urn) and returns it in lower case with hyphens.
func Parse(s string) (string, error) {
	id, err := uuid.Parse(s)
	// Of 38 bytes uuid.Parse drops the first and the last, whatever they are.
	if braced := len("{}") + 36; err != nil || len(s) == braced && (s[0] != '{' || s[braced-1] != '}') {
		return "", errNoUUID
	}
	return id.String(), nil
}
