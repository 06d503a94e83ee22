package convert

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/berth-dev/berth/host/internal/api"
)

// JSON is the API's JSON as a codec of Connect: field names in snake case, zero values
// shown, an absent message as null, no space between. Reading refuses what it does not
// know.
type JSON struct{}

// Name is the name that content types have.
func (JSON) Name() string { return "json" }

// Marshal writes a message.
func (JSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", message)
	}
	return Marshal(m)
}

// Unmarshal reads a message. Its errors name the field.
func (JSON) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", message)
	}
	return Unmarshal(data, m)
}

// Marshal writes a message as the API's JSON, on one line, always the same way.
func Marshal(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(make([]byte, 0, len(raw)))
	if err := json.Compact(out, raw); err != nil { // protojson puts in spaces as it likes
		return nil, err
	}
	return out.Bytes(), nil
}

// Unmarshal reads a message from the API's JSON; names in camel case will do too. An
// unknown field, one that is given twice and a value of another type are refused, and the
// error begins with the field's name.
func Unmarshal(data []byte, m proto.Message) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return fmt.Errorf("the body is empty; give a JSON object, at least {}")
	}
	if err := protojson.Unmarshal(data, m); err != nil {
		return explain(data, m, err)
	}
	return nil
}

// SessionJSON is the session as the API's JSON.
func SessionJSON(s api.Session) ([]byte, error) { return Marshal(SessionToProto(s)) }

// SessionsJSON is a list of sessions as a JSON array.
func SessionsJSON(list []api.Session) ([]byte, error) {
	parts := make([][]byte, len(list))
	for i, s := range list {
		var err error
		if parts[i], err = SessionJSON(s); err != nil {
			return nil, err
		}
	}
	out := append([]byte{'['}, bytes.Join(parts, []byte{','})...)
	return append(out, ']'), nil
}
