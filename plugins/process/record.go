//go:build linux

package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/berth-dev/berth/plugins/process/internal/cgroup"
	"github.com/berth-dev/berth/plugins/process/internal/stage"
	"github.com/berth-dev/berth/sdk/provider"
)

// record is what is written of a sandbox before anything else of it comes to be. It never
// changes, and it holds no secrets: neither environment nor command.
type record struct {
	ID   string `json:"id"`
	Name string `json:"name"`

	Owner       string `json:"owner"`
	SessionID   string `json:"session_id"`
	ChatID      string `json:"chat_id"`
	AgentID     string `json:"agent_id"`
	Template    string `json:"template"`
	RequestHash string `json:"request_hash"`

	MadeAt         time.Time `json:"made_at"`
	ExpiresAt      time.Time `json:"expires_at"` // the first deadline
	VolumeHostPath string    `json:"volume_host_path"`
	Image          string    `json:"image"`
	Digest         string    `json:"digest"`

	EndpointPort int      `json:"endpoint_port"` // on 127.0.0.1 of this machine; 0 for none
	Cgroups      []string `json:"cgroups"`
	LogFiles     int      `json:"log_files"`
	Boot         string   `json:"boot"` // the boot id of the machine's life in which it was made
}

// loopback is where endpoints are.
const loopback = "127.0.0.1"

// sandboxName is what a Spec's name may be: it is a directory's, and a cgroup's.
var sandboxName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$`)

// newID makes the id of an incarnation of name. It tells the name, so that the sandbox is
// found without a search.
func newID(name string) string { return name + "." + randomHex(6) }

// readRecord reads a record and checks that it can be what it says. The error tells what
// is wrong; what could be read is in the record all the same.
func readRecord(dir string) (record, error) {
	var r record
	b, err := os.ReadFile(filepath.Join(dir, stage.FileRecord))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", stage.FileRecord, err)
	}
	switch {
	case r.Name != filepath.Base(dir):
		return r, fmt.Errorf("%s: its name is %q", stage.FileRecord, r.Name)
	case !strings.HasPrefix(r.ID, r.Name+"."):
		return r, fmt.Errorf("%s: its id is %q", stage.FileRecord, r.ID)
	case r.SessionID == "" || r.ChatID == "":
		return r, fmt.Errorf("%s: session or chat id is missing", stage.FileRecord)
	case r.ExpiresAt.IsZero():
		return r, fmt.Errorf("%s: expires_at is missing", stage.FileRecord)
	case r.EndpointPort < 0 || r.EndpointPort > 65535:
		return r, fmt.Errorf("%s: endpoint_port is %d", stage.FileRecord, r.EndpointPort)
	}
	for _, dir := range r.Cgroups {
		if !within(dir, cgroup.Mountpoint) || filepath.Base(dir) != r.ID || filepath.Clean(dir) != dir {
			return r, fmt.Errorf("%s: cgroup %q can't be its own", stage.FileRecord, dir)
		}
	}
	return r, nil
}

// box is a sandbox as it was found.
type box struct {
	dir        string
	rec        record
	unreadable error // why the record can't be read
	held       bool  // its shim lives, or it is being made
	run        stage.Run
	exit       *stage.Exit
}

// look observes the sandbox in a directory. The error is fs.ErrNotExist where there is
// none, and otherwise of a directory that can't be read.
func look(dir string) (*box, error) {
	b := &box{dir: dir}
	held, err := isHeld(filepath.Join(dir, stage.FileLock))
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Stat(dir); gone != nil {
			return nil, gone
		}
		b.unreadable = errors.New("it has no lock file")
		b.rec, _ = readRecord(dir)
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	// Held or not is asked first: what it then has written is at least as new.
	b.held = held
	if b.rec, err = readRecord(dir); err != nil {
		if _, gone := os.Stat(dir); errors.Is(gone, fs.ErrNotExist) {
			return nil, gone
		}
		b.unreadable = err
	}
	if err := readJSON(dir, stage.FileRun, &b.run); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var exit stage.Exit
	switch err := readJSON(dir, stage.FileExit, &exit); {
	case err == nil:
		b.exit = &exit
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return b, nil
}

func readJSON(dir, name string, to any) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
	}
	return nil
}

// state is what the files and the lock come to. A lock is held by a process that lives:
// the kernel sees to it, and a pid that was used again can't deceive.
func (b *box) state() provider.State {
	switch {
	case b.exit != nil:
		return provider.StateExited // its shim may be about to end as well
	case b.held && b.run.Up:
		return provider.StateRunning
	case b.held:
		return provider.StateCreated // on its way
	case b.run.Shim != 0:
		return provider.StateExited
	default:
		return provider.StateCreated // its plugin died before it had a shim
	}
}

// sandbox is the box as the host sees it. exits adds how it ended.
func (b *box) sandbox(exits bool) provider.Sandbox {
	r := &b.rec
	s := provider.Sandbox{
		ID: r.ID, Name: filepath.Base(b.dir), State: b.state(),
		Owner: r.Owner, SessionID: r.SessionID, ChatID: r.ChatID, AgentID: r.AgentID,
		Template: r.Template, RequestHash: r.RequestHash,
		CreatedAt: r.MadeAt, ExpiresAt: r.ExpiresAt, VolumeHostPath: r.VolumeHostPath,
	}
	if b.unreadable != nil {
		if !strings.HasPrefix(s.ID, s.Name+".") {
			s.ID = s.Name
		}
		s.Unreadable = b.unreadable.Error()
	}
	if s.State == provider.StateRunning && r.EndpointPort != 0 {
		s.Endpoint = &provider.Endpoint{IP: loopback, Port: r.EndpointPort}
	}
	if s.State == provider.StateExited && exits {
		s.Exit = b.ended()
	}
	return s
}

// ended is how the command ended; nil when nobody knows. A shim that was killed took its
// sandbox along: the kernel kills the init with it.
func (b *box) ended() *provider.Exit {
	switch {
	case b.exit != nil:
		return &provider.Exit{Code: b.exit.Code, OOMKilled: b.exit.OOMKilled, At: time.Unix(0, b.exit.At).UTC()}
	case b.rec.Boot != "" && b.rec.Boot == bootID():
		return &provider.Exit{Code: 137}
	}
	return nil
}

// bootID tells this life of the machine from others; see random(4).
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// find looks for a sandbox by its id. One whose record can't be read, not even for the id,
// has its directory's name for one, and is found by every id of that name.
func (d *stateDir) find(id string) (*box, error) {
	names := []string{id}
	if i := strings.LastIndexByte(id, '.'); i > 0 {
		names = []string{id[:i], id}
	}
	for _, name := range names {
		b, err := d.byName(name)
		if errors.Is(err, provider.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch {
		case b.rec.ID == id || name == id && b.unreadable != nil:
			return b, nil
		case b.unreadable != nil && !strings.HasPrefix(b.rec.ID, name+"."):
			// It may be the one: to say that there is none would end what runs.
			b.rec.ID = id
			return b, nil
		}
	}
	return nil, errGone
}

// byName looks for a sandbox by its name.
func (d *stateDir) byName(name string) (*box, error) {
	if !sandboxName.MatchString(name) {
		return nil, errGone
	}
	b, err := look(d.box(name))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(d.sandboxes); err != nil {
			return nil, &provider.Error{Class: provider.Unavailable, Message: "the state directory can't be read", Err: err}
		}
		return nil, errGone
	}
	return b, err
}
