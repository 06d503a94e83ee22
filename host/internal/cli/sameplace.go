package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/berth-dev/berth/host"
)

// sameplace shows a few sessions again and again below what was printed before: drawn over
// its last drawing on a terminal, a line for each change of a status elsewhere.
type sameplace struct {
	screen
	drawn int               // lines of the last drawing
	said  map[string]string // by session: the last status
}

func newSameplace(s screen) *sameplace { return &sameplace{screen: s, said: map[string]string{}} }

func (p *sameplace) show(rows []host.Session, now time.Time) {
	if p.live() {
		p.draw(p.table(chatColumns(), rows, now))
		return
	}
	for _, s := range rows {
		if status := statusOf(s); p.said[s.ID] != status {
			p.said[s.ID] = status
			fmt.Fprintf(p.out, "%s  chat %s  %s  TTL left %s\n", clock(now), short(s.ChatID), status, tenths(s, now))
		}
	}
}

// draw writes the lines over those of the last drawing, in one piece.
func (p *sameplace) draw(lines []string) {
	var b strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn)
	}
	for _, l := range lines {
		b.WriteString("\x1b[2K" + l + "\n")
	}
	p.drawn = len(lines)
	io.WriteString(p.out, b.String())
}

// chatColumns are those of a story about chats, whose sessions nobody has to name.
func chatColumns() []column {
	return []column{columnChat.cut(shortID, ""), columnAgent, columnTemplate, columnStatus, {columnLeft.name, tenths}, columnEndpoint}
}

// tenths is how long a session still has, for one that lives a few seconds.
func tenths(s host.Session, now time.Time) string {
	if s.Ended != nil || s.ExpiresAt.IsZero() {
		return "-"
	}
	return max(0, s.ExpiresAt.Sub(now)).Round(100 * time.Millisecond).String()
}
