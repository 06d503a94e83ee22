package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// The versions that this code writes. It reads these and older ones.
const (
	formatVersion = 1 // of the file: its buckets and its header
	recordVersion = 1 // of a record
)

// header is what the file says of itself.
type header struct {
	Birth time.Time `json:"birth"`
	Owner string    `json:"owner,omitempty"`
}

// seal is the form of every value in the file, in every version: the body's version, the
// CRC-32C of version and body, and the body.
type seal struct {
	Version int             `json:"v"`
	Sum     string          `json:"crc32c"`
	Body    json.RawMessage `json:"body"`
}

// errNewer says that a newer Berth wrote this. It is no damage.
var errNewer = errors.New("written by a newer version of Berth")

// castagnoli makes the sums. It is never changed.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(version int, body []byte) string {
	c := crc32.Update(0, castagnoli, strconv.AppendInt(nil, int64(version), 10))
	c = crc32.Update(c, castagnoli, []byte{'\n'})
	return fmt.Sprintf("%08x", crc32.Update(c, castagnoli, body))
}

// sealed returns v as a value of the file.
func sealed(version int, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{"v":%d,"crc32c":"%s","body":%s}`, version, sum(version, body), body), nil
}

// unseal reads a value of the file into v. The error is errNewer when the version is
// above latest; every other error is damage.
func unseal(value []byte, latest int, v any) error {
	var s seal
	if err := json.Unmarshal(value, &s); err != nil {
		return err
	}
	if got := sum(s.Version, s.Body); got != s.Sum {
		return fmt.Errorf("checksum %s does not fit its content (%s)", s.Sum, got)
	}
	if s.Version > latest {
		return fmt.Errorf("version %d, this is %d: %w", s.Version, latest, errNewer)
	}
	if s.Version < 1 {
		return fmt.Errorf("version %d", s.Version)
	}
	return json.Unmarshal(s.Body, v)
}

// encode returns a record as it is kept.
func encode(rec Record) ([]byte, error) { return sealed(recordVersion, rec) }

// decode reads the record that is kept under key.
func decode(key, value []byte) (Record, error) {
	var rec Record
	if err := unseal(value, recordVersion, &rec); err != nil {
		return Record{}, fmt.Errorf("record %q: %w", key, err)
	}
	if rec.SessionID != string(key) {
		return Record{}, fmt.Errorf("record %q: is that of session %q", key, rec.SessionID)
	}
	return rec, nil
}
