package records

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

const (
	recordFile = "record"
	logFile    = "log"
	maxName    = 200 // bytes; file systems take 255
)

// record is what a sandbox bears.
type record struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Owner          string    `json:"owner"`
	SessionID      string    `json:"session_id"`
	ChatID         string    `json:"chat_id"`
	AgentID        string    `json:"agent_id,omitempty"`
	Template       string    `json:"template"`
	RequestHash    string    `json:"request_hash"`
	MadeAt         time.Time `json:"made_at"`
	ExpiresAt      time.Time `json:"expires_at"`
	VolumeHostPath string    `json:"volume_host_path,omitempty"`
}

// entry is one sandbox in the directory.
type entry struct {
	record
	dir        string
	unreadable string // why its record can't be read
}

// idOf names one incarnation of a name.
func idOf(name, incarnation string) string { return name + "." + incarnation }

// validName reports whether a name can be that of an entry.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && name[0] != '.' && name != identityFile && !strings.ContainsAny(name, "/\x00")
}

// byName reads an entry; nil when there is none.
func (p *Provider) byName(name string) (*entry, error) {
	if !validName(name) {
		return nil, nil
	}
	e := &entry{dir: filepath.Join(p.dir, name)}
	text, err := os.ReadFile(filepath.Join(e.dir, recordFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(e.dir); errors.Is(err, fs.ErrNotExist) {
			// Is there no such sandbox, or is the whole directory away?
			_, err := os.Stat(filepath.Join(p.dir, identityFile))
			return nil, err
		}
		e.unreadable = "it has no record"
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(text, &e.record); err != nil {
			e.unreadable = "its record can't be read: " + err.Error()
		} else if e.Name != name {
			e.unreadable = "its record is of " + e.Name
		}
	}
	if e.unreadable != "" || e.ID == "" {
		e.ID, e.Name = name, name
	}
	return e, nil
}

// byID reads the entry of one incarnation; nil when there is none.
func (p *Provider) byID(id string) (*entry, error) {
	if e, err := p.byName(nameOf(id)); e == nil || err != nil || e.ID == id {
		return e, err
	}
	return nil, nil
}

// nameOf is the name of the entry that an id is about.
func nameOf(id string) string {
	if i := strings.LastIndexByte(id, '.'); i > 0 {
		return id[:i]
	}
	return id // of one whose record can't be read
}

// write writes a file of the plugin's user, and has it on disk.
func write(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sandbox is what is told of an entry.
func (e *entry) sandbox(seen Observed) provider.Sandbox {
	s := provider.Sandbox{ID: e.ID, Name: e.Name, State: seen.State, Owner: e.Owner, SessionID: e.SessionID, ChatID: e.ChatID,
		AgentID: e.AgentID, Template: e.Template, RequestHash: e.RequestHash, CreatedAt: e.MadeAt, ExpiresAt: e.ExpiresAt,
		VolumeHostPath: e.VolumeHostPath, Unreadable: e.unreadable}
	switch seen.State {
	case provider.StateRunning, provider.StatePaused:
		s.Endpoint = seen.Endpoint
	case provider.StateExited:
		s.Exit = seen.Exit
	}
	return s
}
