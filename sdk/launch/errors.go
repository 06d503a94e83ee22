package launch

import (
	"fmt"
	"strings"
)

// Reason says why a plugin could not be started. Its values are stable.
type Reason string

// The reasons.
const (
	InvalidOptions   Reason = "invalid_options"   // the caller's options can't work
	Missing          Reason = "missing"           // there is no such file
	NotRegular       Reason = "not_regular"       // a directory, a pipe, a device
	NotExecutable    Reason = "not_executable"    // no permission to execute it
	Unreadable       Reason = "unreadable"        // it can't be read, so it can't be verified
	ChecksumMismatch Reason = "checksum_mismatch" // its SHA-256 is not the one that was given
	CacheFailed      Reason = "cache_failed"      // the private copy can't be written
	RunDirFailed     Reason = "run_dir_failed"    // the run directory is unfit
	PathTooLong      Reason = "path_too_long"     // a socket's path would not fit the system's limit
	LaunchFailed     Reason = "launch_failed"     // the system refused to start it
	NotAPlugin       Reason = "not_a_plugin"      // it ended, or printed other things, instead of shaking hands
	ProtocolMismatch Reason = "protocol_mismatch" // it speaks another version of the boundary
	ConnectFailed    Reason = "connect_failed"    // it shook hands, and then did not accept the connection
	StartTimeout     Reason = "start_timeout"     // it did not shake hands in time
	Canceled         Reason = "canceled"          // the caller's context was done first
)

// Error is why a plugin could not be started. It is for people: it names the plugin, the
// value, the limit and the remedy.
type Error struct {
	Reason Reason
	Name   string // the plugin, as Options named it
	Path   string // its binary, as Options named it

	Message string // what is wrong, and the remedy
	Stdout  string // what it printed before, or in place of, the handshake; may be ""
	Stderr  string // the last lines of its standard error; may be ""
	Err     error  // the cause; may be nil
}

// Error returns `plugin "<name>": <message>: <cause>` and what the plugin printed.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Name != "" {
		fmt.Fprintf(&b, "plugin %q: ", e.Name)
	}
	b.WriteString(e.Message)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Stdout != "" {
		fmt.Fprintf(&b, "; it printed on stdout: %s", e.Stdout)
	}
	if e.Stderr != "" {
		fmt.Fprintf(&b, "; last on stderr: %s", e.Stderr)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitError tells how a plugin process ended.
type ExitError struct {
	Name   string
	PID    int
	Code   int    // -1 when a signal ended it, or nobody saw how it ended
	Signal string // "killed", "segmentation fault", …; "" when none did
	Stderr string // the last lines of its standard error; may be ""
}

// Error returns `plugin "<name>" (pid <n>) …` and what it last printed on stderr.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("exited with code %d", e.Code)
	if e.Signal != "" {
		how = "was ended by signal: " + e.Signal
	}
	s := fmt.Sprintf("plugin %q (pid %d) %s", e.Name, e.PID, how)
	if e.Stderr != "" {
		s += "; last on stderr: " + e.Stderr
	}
	return s
}
