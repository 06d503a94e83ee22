package cli

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/berth-dev/berth/host"
)

// screen is where a table goes: a terminal, or anything else.
type screen struct {
	out   io.Writer
	size  func() (width, height int) // nil: no terminal
	plain bool                       // no colours
}

// newScreen looks at what out is. Colours are for terminals, and not with NO_COLOR.
func newScreen(out io.Writer) screen {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return screen{out: out, plain: true}
	}
	return screen{
		out:   out,
		plain: os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb",
		size: func() (int, int) {
			w, h, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0, 0
			}
			return w, h
		},
	}
}

// live tells whether what was written can be drawn over.
func (s screen) live() bool { return s.size != nil && os.Getenv("TERM") != "dumb" }

// width is how many columns there are; 0: no limit is known.
func (s screen) width() int {
	if s.size == nil {
		return 0
	}
	w, _ := s.size()
	return w
}

// style is an SGR parameter; empty: none.
type style string

const (
	bold    style = "1"
	dim     style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	magenta style = "35"
	cyan    style = "36"
)

// paint gives text a style where there are colours.
func (s screen) paint(text string, st style) string {
	if s.plain || st == "" || text == "" {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

// styleOf is the colour of a session's status.
func styleOf(s host.Session) style {
	switch s.Status {
	case host.StatusRunning:
		return green
	case host.StatusCreating:
		return cyan
	case host.StatusStopping, host.StatusStopped, host.StatusDeleting:
		return yellow
	case host.StatusUnknown:
		return magenta
	case host.StatusEnded:
		if s.Ended != nil && s.Ended.Reason != host.ReasonExpired && s.Ended.Reason != host.ReasonDeleted {
			return red
		}
		return dim
	}
	return ""
}

// count is a number of things, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
