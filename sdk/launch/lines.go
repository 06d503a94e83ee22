package launch

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode"
)

// maxLine is the longest line that is taken from a plugin, in bytes. The rest of a longer
// one is thrown away.
const maxLine = 64 << 10

// readLines calls yield for each line of r, without its end, until r fails or ends. The
// slice is valid until yield returns. Memory is bounded by maxLine.
func readLines(r io.Reader, yield func(line []byte, cut bool)) {
	br := bufio.NewReaderSize(r, maxLine)
	rest := false // of a line that was cut
	for {
		chunk, err := br.ReadSlice('\n')
		full := errors.Is(err, bufio.ErrBufferFull)
		if !rest && len(chunk) > 0 {
			yield(trimEnd(chunk), full)
		}
		rest = full
		if err != nil && !full {
			return
		}
	}
}

func trimEnd(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}

// printable makes a plugin's text fit for an error message: no control characters, valid
// UTF-8, at most max bytes or so.
func printable(text string, max int) string {
	cut := len(text) > max
	if cut {
		text = text[:max]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if cut {
		text += "…"
	}
	return text
}

// lineWriter cuts what is written to it into lines, for output that arrives in chunks.
// Only one goroutine may write.
type lineWriter struct {
	yield func(line []byte, cut bool)
	buf   []byte
	rest  bool
}

// Write never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	for _, b := range p {
		switch {
		case b == '\n':
			if !w.rest {
				w.yield(trimEnd(w.buf), false)
			}
			w.buf, w.rest = w.buf[:0], false
		case w.rest:
		case len(w.buf) == maxLine:
			w.yield(w.buf, true)
			w.buf, w.rest = w.buf[:0], true
		default:
			w.buf = append(w.buf, b)
		}
	}
	return len(p), nil
}
