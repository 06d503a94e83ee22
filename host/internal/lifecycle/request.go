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

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/ids"
)

// wanted is a checked request for a session, and the verb that brought it.
type wanted struct {
	CreateRequest
	op        string
	oneOfChat bool // nothing is admitted while the chat has a live session
}

func (w wanted) fail(code Code, message string, cause error) *Error {
	return &Error{Code: code, Op: w.op, ChatID: w.ChatID, SessionID: w.SessionID, Message: message, Err: cause}
}

// normalize checks the request and brings its ids into canonical form.
func normalize(op string, r CreateRequest, maxTTL time.Duration) (wanted, *Error) {
	chat, err := canonicalID(r.ChatID)
	if err != nil {
		return wanted{}, invalid(op, "chat_id", err.Error())
	}
	r.ChatID = chat
	if r.SessionID != "" {
		id, err := canonicalID(r.SessionID)
		if err != nil {
			return wanted{}, invalid(op, "session_id", err.Error())
		}
		r.SessionID = id
	}
	fail := func(field, format string, args ...any) (wanted, *Error) {
		e := invalid(op, field, fmt.Sprintf(format, args...))
		e.ChatID, e.SessionID = r.ChatID, r.SessionID
		return wanted{}, e
	}
	if err := plainText(r.AgentID, api.MaxAgentID); err != nil {
		return fail("agent_id", "%v", err)
	}
	if err := plainText(r.Volume, api.MaxVolume); err != nil {
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
	if bad := checkMetadata(op, r.Metadata); bad != nil {
		bad.ChatID, bad.SessionID = r.ChatID, r.SessionID
		return wanted{}, bad
	}
	return wanted{CreateRequest: r, op: op}, nil
}

func checkMetadata(op string, metadata map[string]string) *Error {
	if len(metadata) > api.MaxMetadataItems {
		return invalid(op, "metadata", fmt.Sprintf("%d items are over the limit of %d", len(metadata), api.MaxMetadataItems))
	}
	total := 0
	for k, v := range metadata {
		if k == "" {
			return invalid(op, "metadata", "a key is empty; give each item a name")
		}
		if err := plainText(k, api.MaxMetadataKey); err != nil {
			return invalid(op, "metadata", fmt.Sprintf("key %q: %v", clip(k, 64), err))
		}
		if !utf8.ValidString(v) {
			return invalid(op, "metadata", fmt.Sprintf("the value of %q is not UTF-8", clip(k, 64)))
		}
		total += len(k) + len(v)
	}
	if total > api.MaxMetadataBytes {
		return invalid(op, "metadata", fmt.Sprintf("%d bytes are over the limit of %d", total, api.MaxMetadataBytes))
	}
	return nil
}

// hash covers what makes two requests the same: never times, never the evaluated Spec.
func (w wanted) hash() string {
	b, err := json.Marshal([]string{w.Template, w.ChatID, w.AgentID, w.Volume, w.TTL.String()})
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
	id, err := ids.Parse(s)
	if err != nil {
		return "", fmt.Errorf("%q is not a UUID; give one such as %s", clip(s, 64), "1b4e28ba-2fa1-41d2-883f-0016d3cca427")
	}
	return id, nil
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

// maxCause is how much of an error's text a record keeps, in bytes. A plugin's may be of any
// length, and a record that is too long could never be written.
const maxCause = 4 << 10

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
