package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// file is one source file, kept so that later findings can show its lines.
type file struct {
	name string
	src  []byte
	body *hclsyntax.Body // nil while it could not be parsed
}

// maxShown is how many characters of a line are shown.
const maxShown = 160

// hiddenText stands where a secret stood.
const hiddenText = "(hidden)"

// show returns the line on which rng begins and the carets below it. What lies in a
// hidden range is not in it; what a terminal might obey is replaced.
func (f *file) show(rng hcl.Range, hidden []hcl.Range) (line, mark string) {
	if rng.Start.Byte < 0 || rng.Start.Byte > len(f.src) {
		return "", ""
	}
	start := bytes.LastIndexByte(f.src[:rng.Start.Byte], '\n') + 1
	end := len(f.src)
	if i := bytes.IndexByte(f.src[rng.Start.Byte:], '\n'); i >= 0 {
		end = rng.Start.Byte + i
	}
	var text, carets strings.Builder
	for at := start; at < end && utf8.RuneCountInString(text.String()) < maxShown; {
		r, size := utf8.DecodeRune(f.src[at:end])
		out := string(r)
		switch stop := covering(hidden, at); {
		case stop > at:
			out, size = hiddenText, min(stop, end)-at
		case r == '\r' && at+size == end:
			out = ""
		case r == '\t':
		case r == utf8.RuneError || !unicode.IsPrint(r):
			out = string(utf8.RuneError)
		}
		fill := " "
		if at+size > rng.Start.Byte && at < max(rng.End.Byte, rng.Start.Byte+1) {
			fill = "^"
		}
		text.WriteString(out)
		if out == "\t" && fill == " " {
			carets.WriteString("\t")
		} else {
			carets.WriteString(strings.Repeat(fill, utf8.RuneCountInString(out)))
		}
		at += size
		if utf8.RuneCountInString(text.String()) >= maxShown && at < end {
			text.WriteString("…")
		}
	}
	line = strings.TrimRight(text.String(), " \t")
	mark = strings.TrimRight(carets.String(), " \t")
	if mark == "" && line != "" { // the finding is at the end of the line
		mark = strings.Repeat(" ", utf8.RuneCountInString(line)) + "^"
	}
	return line, mark
}

// covering returns the end of the range that holds the byte at, or -1.
func covering(ranges []hcl.Range, at int) int {
	for _, r := range ranges {
		if at >= r.Start.Byte && at < r.End.Byte {
			return r.End.Byte
		}
	}
	return -1
}

// within names the blocks around rng, the outermost first.
func (f *file) within(rng hcl.Range) string {
	var names []string
	for body := f.body; body != nil; {
		inner := enclosing(body, rng)
		if inner == nil {
			break
		}
		names = append(names, title(inner))
		body = inner.Body
	}
	return strings.Join(names, ", ")
}

// enclosing returns the block of body between whose braces rng begins.
func enclosing(body *hclsyntax.Body, rng hcl.Range) *hclsyntax.Block {
	for _, b := range body.Blocks {
		if rng.Start.Byte >= b.OpenBraceRange.End.Byte && rng.Start.Byte < b.CloseBraceRange.End.Byte {
			return b
		}
	}
	return nil
}

// title names a block as its header does.
func title(b *hclsyntax.Block) string {
	var s strings.Builder
	s.WriteString(b.Type)
	for _, l := range b.Labels {
		fmt.Fprintf(&s, " %q", l)
	}
	return s.String()
}
