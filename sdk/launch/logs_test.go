package launch_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/launch"
)

// logBuffer is what a host logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) has(s string) bool { return strings.Contains(b.String(), s) }

func record(o *launch.Options) *logBuffer {
	b := &logBuffer{}
	o.Logger = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	return b
}

func TestLogLines(t *testing.T) {
	o := place(t)
	logs := record(&o)
	long := strings.Repeat("x", 200<<10)
	o.Path = script(t, strings.Join([]string{
		`echo '{"@level":"warn","@message":"low on discs","@timestamp":"now","@module":"docker","free":3,"time":"odd"}' >&2`,
		`echo '{"@level":"debug","@message":"a detail"}' >&2`,
		`echo '{"@level":7,"@message":8,"@timestamp":{}}' >&2`, // go-plugin would panic on it
		`echo '{"@message":"no level"}' >&2`,
		`echo '[ERROR] old style' >&2`,
		`printf '\033[31mplain\n' >&2`,
		`printf '` + long + `\n' >&2`,
		`printf 'no end of line' >&2`,
		`exec ` + mockBinary,
	}, "\n"))
	p := start(t, o)
	shut(t, p)
	for _, want := range []string{
		`level=WARN msg="low on discs" plugin=mock module=docker free=3 plugin.time=odd`,
		`level=DEBUG msg="a detail"`,
		`level=INFO msg="{\"@level\":7,`,
		`level=INFO msg="no level"`,
		`level=ERROR msg="[ERROR] old style"`,
		`plain`,
		`cut=true`,
		`no end of line`,
	} {
		if !logs.has(want) {
			t.Errorf("the log does not have %s", want)
		}
	}
	if n := len(logs.String()); n > 100<<10 {
		t.Errorf("a line of 200 KiB made %d bytes of log", n)
	}
}

func TestFloodOfLogs(t *testing.T) {
	o := place(t)
	logs := record(&o)
	p := start(t, o)
	const lines = 200_000
	begun := time.Now()
	configure(t, p, fmt.Sprintf(`{"log_lines":%d}`, lines))
	t.Logf("%d lines took the plugin %s", lines, time.Since(begun))
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	shut(t, p)
	got := strings.Count(logs.String(), "noise, line")
	var told int
	for line := range strings.Lines(logs.String()) {
		if _, after, ok := strings.Cut(line, " dropped="); ok {
			var n int
			if _, err := fmt.Sscan(after, &n); err != nil {
				t.Fatal(err)
			}
			told += n
		}
	}
	if limit := int(500 * (time.Since(begun).Seconds() + 2)); got > limit {
		t.Errorf("%d lines came through, at most %d may", got, limit)
	}
	// A few records of the mock itself may be among those told.
	if told == 0 || got+told < lines || got+told > lines+50 {
		t.Errorf("%d lines logged, %d told as dropped, of %d", got, told, lines)
	}
}

func TestPanicIsInTheError(t *testing.T) {
	o := place(t)
	o.Path = script(t, `echo 'panic: all is lost' >&2; i=0; while [ $i -lt 40 ]; do echo "goroutine $i" >&2; i=$((i+1)); done; exit 2`)
	checkFails(t, t.Context(), o, launch.NotAPlugin, "panic: all is lost", "exited with code 2")
}
