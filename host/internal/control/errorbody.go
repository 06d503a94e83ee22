package control

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// errorBody passes an answer on, and holds back the JSON of an error to put its details
// into the API's JSON: Connect writes what is for people in them, debug, in camel case
// and without zero values.
type errorBody struct {
	http.ResponseWriter
	status int // of an error; 0: none
	held   bytes.Buffer
}

// Unwrap is for http.ResponseController.
func (w *errorBody) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader begins the answer.
func (w *errorBody) WriteHeader(status int) {
	if status >= 400 {
		w.status = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes the answer.
func (w *errorBody) Write(p []byte) (int, error) {
	if w.status != 0 {
		return w.held.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// send sends what was held back.
func (w *errorBody) send() {
	if w.status == 0 {
		return
	}
	text := inOurJSON(w.held.Bytes())
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.ResponseWriter.WriteHeader(w.status)
	w.ResponseWriter.Write(text) // whether the caller is still there shows nowhere else either
}

// inOurJSON writes the details of Connect's error anew. What is none stays as it is.
func inOurJSON(text []byte) []byte {
	var e struct {
		Code    string `json:"code"`
		Message string `json:"message,omitempty"`
		Details []struct {
			Type  string          `json:"type"`
			Value string          `json:"value"`
			Debug json.RawMessage `json:"debug,omitempty"`
		} `json:"details,omitempty"`
	}
	if json.Unmarshal(text, &e) != nil {
		return text
	}
	for i, d := range e.Details {
		raw, err := base64.RawStdEncoding.DecodeString(d.Value)
		m := &controlv1.Error{}
		if err != nil || d.Type != string(m.ProtoReflect().Descriptor().FullName()) || proto.Unmarshal(raw, m) != nil {
			continue
		}
		if e.Details[i].Debug, err = convert.Marshal(m); err != nil {
			return text
		}
	}
	out, err := json.Marshal(e)
	if err != nil {
		return text
	}
	return out
}
