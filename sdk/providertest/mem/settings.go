package mem

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// providerSettings are the values of the provider schema.
type providerSettings struct {
	Identity  string         `json:"identity"`
	StateFile string         `json:"state_file"`
	Away      bool           `json:"away"`
	IP        string         `json:"ip"`
	Port      int            `json:"port"`
	User      string         `json:"user"`
	Reject    string         `json:"reject"`
	Unable    bool           `json:"unable"`
	Faults    []faultSetting `json:"fault"`

	IgnoreSIGTERM bool     `json:"ignore_sigterm"`
	HoldStderr    duration `json:"hold_stderr"`
	LogLines      int      `json:"log_lines"`
}

// faultSetting is one fault block.
type faultSetting struct {
	Verb    Verb           `json:"verb"`
	Times   int            `json:"times"`
	After   bool           `json:"after"`
	Delay   duration       `json:"delay"`
	Hang    bool           `json:"hang"`
	Error   provider.Class `json:"error"`
	Message string         `json:"message"`
	Panic   string         `json:"panic"`
	Exit    int            `json:"exit"`
	Lie     string         `json:"lie"`
	Outcome string         `json:"outcome"`
	Backend string         `json:"backend"`
}

// sandboxSettings are the values of the sandbox schema.
type sandboxSettings struct {
	CreateDelay duration       `json:"create_delay"`
	CreateError provider.Class `json:"create_error"`
	ExitAfter   duration       `json:"exit_after"`
	ExitCode    int            `json:"exit_code"`
	Port        int            `json:"port"`
	Log         []string       `json:"log"`
	Reject      string         `json:"reject"`
	Stubborn    bool           `json:"stubborn"`
}

func (s sandboxSettings) createError(id string) error {
	if s.CreateError == "" {
		return nil
	}
	return &provider.Error{Class: s.CreateError, Op: string(Create), ID: id, Code: "sandbox_start_failed",
		Message: "the setting create_error asks for it"}
}

// duration is a time as it travels in settings: "5s".
type duration time.Duration

func (d duration) value() time.Duration { return time.Duration(d) }

func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil || text == "" {
		return err
	}
	v, err := time.ParseDuration(text)
	*d = duration(v)
	return err
}

func decodeProvider(data []byte) (providerSettings, error) {
	var s providerSettings
	if err := decode(data, &s); err != nil {
		return s, err
	}
	for _, f := range s.Faults {
		if !slices.Contains(verbs, string(f.Verb)) {
			return s, fmt.Errorf("fault: %q is no verb", f.Verb)
		}
		if err := knownClass("fault: error", f.Error); err != nil {
			return s, err
		}
		if !slices.Contains(lieNames(), f.Lie) {
			return s, fmt.Errorf("fault: lie: %q is none", f.Lie)
		}
	}
	return s, nil
}

func decodeSandbox(data []byte) (sandboxSettings, error) {
	var s sandboxSettings
	if err := decode(data, &s); err != nil {
		return s, err
	}
	return s, knownClass("create_error", s.CreateError)
}

func knownClass(name string, c provider.Class) error {
	if c != "" && !slices.Contains(provider.Classes(), c) {
		return fmt.Errorf("%s: %q is no class of errors", name, c)
	}
	return nil
}

// decode reads a JSON object strictly. No data is an empty object.
func decode(data []byte, into any) error {
	if len(data) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

var verbs = []string{
	string(Prepare), string(Create), string(Get), string(List), string(Stop), string(Delete),
	string(Health), string(Identity), string(Logs), string(Events),
	string(Info), string(Schemas), string(Validate), string(Configure), string(Drain),
}
