package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// CreateRequest asks for a session.
type CreateRequest struct {
	// SessionID is the caller's, a UUID in any spelling, so that a call whose answer was
	// lost can be made again. Empty: one is made, and a caller who leaves before the
	// answer leaves nothing behind.
	SessionID string
	ChatID    string        // a UUID in any spelling
	AgentID   string        // free text without control characters, at most 256 bytes; may be empty
	Template  string        // the name of a template
	Volume    string        // a host directory inside one of volume_roots; may be empty
	TTL       time.Duration // from the end of Prepare; zero: the template's
	Metadata  map[string]string
}

// The limits of what a request may carry.
const (
	maxAgentID       = 256
	maxVolume        = 4096
	maxMetadataItems = 64
	maxMetadataKey   = 128
	maxMetadataBytes = 16 << 10
)

// normalize checks the request and brings its ids into canonical form.
func (r CreateRequest) normalize(maxTTL time.Duration) (CreateRequest, *Error) {
	const op = "create"
	chat, err := canonicalID(r.ChatID)
	if err != nil {
		return r, invalid(op, "chat_id", err.Error())
	}
	r.ChatID = chat
	if r.SessionID != "" {
		id, err := canonicalID(r.SessionID)
		if err != nil {
			return r, invalid(op, "session_id", err.Error())
		}
		r.SessionID = id
	}
	fail := func(field, format string, args ...any) (CreateRequest, *Error) {
		e := invalid(op, field, fmt.Sprintf(format, args...))
		e.ChatID, e.SessionID = r.ChatID, r.SessionID
		return r, e
	}
	if err := plainText(r.AgentID, maxAgentID); err != nil {
		return fail("agent_id", "%v", err)
	}
	if err := plainText(r.Volume, maxVolume); err != nil {
		return fail("volume", "%v", err)
	}
	if r.Template == "" {
		return fail("template", "is empty; give the name of a template of the configuration")
	}
	switch {
	case r.TTL < 0:
		return fail("ttl", "%v is not positive; give more than 0, at most max_ttl %v", r.TTL, maxTTL)
	case r.TTL > 0 && r.TTL < time.Millisecond:
		return fail("ttl", "%v is too short; give at least 1ms, at most max_ttl %v", r.TTL, maxTTL)
	case r.TTL > maxTTL:
		return fail("ttl", "%v is over max_ttl %v; ask for less and extend while it is used", r.TTL, maxTTL)
	}
	r.Metadata = maps.Clone(r.Metadata)
	if bad := r.checkMetadata(op); bad != nil {
		bad.ChatID, bad.SessionID = r.ChatID, r.SessionID
		return r, bad
	}
	return r, nil
}

func (r CreateRequest) checkMetadata(op string) *Error {
	if len(r.Metadata) > maxMetadataItems {
		return invalid(op, "metadata", fmt.Sprintf("%d items are over the limit of %d", len(r.Metadata), maxMetadataItems))
	}
	total := 0
	for k, v := range r.Metadata {
		if k == "" {
			return invalid(op, "metadata", "a key is empty; give each item a name")
		}
		if err := plainText(k, maxMetadataKey); err != nil {
			return invalid(op, "metadata", fmt.Sprintf("key %q: %v", k, err))
		}
		if !utf8.ValidString(v) {
			return invalid(op, "metadata", fmt.Sprintf("the value of %q is not UTF-8", k))
		}
		total += len(k) + len(v)
	}
	if total > maxMetadataBytes {
		return invalid(op, "metadata", fmt.Sprintf("%d bytes are over the limit of %d", total, maxMetadataBytes))
	}
	return nil
}

// hash covers what makes two requests the same: never times, never the evaluated Spec.
func (r CreateRequest) hash() string {
	b, err := json.Marshal([]string{r.Template, r.ChatID, r.AgentID, r.Volume, r.TTL.String()})
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func canonicalID(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("is empty; give a UUID")
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%q is not a UUID; give one such as %s", clip(s, 64), "1b4e28ba-2fa1-41d2-883f-0016d3cca427")
	}
	return id.String(), nil
}

func plainText(s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%d bytes are over the limit of %d", len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%q is not UTF-8", clip(s, 64))
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%q has control characters; leave them out", clip(s, 64))
	}
	return nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
