package outlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/plugins/process/internal/outlog"
)

// written makes a log of what is copied into it, chunk by chunk.
func written(t *testing.T, bytes int64, files int, chunks ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	w, err := outlog.NewWriter(path, bytes, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		w.Copy(strings.NewReader(c), strings.HasPrefix(c, "err"))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// read is all that the pieces of a log have, oldest first.
func read(t *testing.T, path string, files int) (frames []outlog.Frame) {
	t.Helper()
	pieces, err := outlog.Open(path, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range pieces {
		defer f.Close()
		for {
			frame, err := outlog.Read(f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, frame)
		}
	}
	return frames
}

// What was printed is read back, with its stream and its time, in order.
func TestFramesAreReadBack(t *testing.T) {
	begun := time.Now()
	long := strings.Repeat("x", outlog.MaxFrame+1) // two frames
	frames := read(t, written(t, 1<<20, 3, "out\x00\xb7\n", "err", long), 3)
	var got []string
	for _, f := range frames {
		if f.At.Before(begun.Truncate(0)) || f.At.After(time.Now()) {
			t.Errorf("printed at %v", f.At)
		}
		got = append(got, fmt.Sprint(f.Stderr, len(f.Data)))
	}
	if want := fmt.Sprint([]string{"false 6", "true 3", fmt.Sprint("false ", outlog.MaxFrame), "false 1"}); fmt.Sprint(got) != want {
		t.Errorf("read %v, want %v", got, want)
	}
	if string(frames[0].Data) != "out\x00\xb7\n" {
		t.Errorf("read %q", frames[0].Data)
	}
}

// A log has so many pieces of such a size at most; what is dropped is the oldest, and no
// frame is cut.
func TestOldestPieceIsDropped(t *testing.T) {
	for _, files := range []int{1, 3} {
		var chunks []string
		for i := range 100 {
			chunks = append(chunks, fmt.Sprintf("line %02d", i))
		}
		const size = 10 * (16 + 7) // ten frames
		path := written(t, size, files, chunks...)
		list, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(list) != files {
			t.Errorf("%d pieces, want %d (%v)", len(list), files, err)
		}
		for _, e := range list {
			if info, err := e.Info(); err != nil || info.Size() > size || info.Mode().Perm() != 0o600 {
				t.Errorf("piece %s: %v, %v", e.Name(), info, err)
			}
		}
		frames := read(t, path, files)
		if len(frames) != 10*files {
			t.Fatalf("%d frames of %d pieces, want %d", len(frames), files, 10*files)
		}
		for i, f := range frames {
			if want := chunks[100-len(frames)+i]; string(f.Data) != want {
				t.Errorf("frame %d is %q, want %q", i, f.Data, want)
			}
		}
	}
}

// A frame that is being written is none yet; when it is whole it is read from where the
// reader stood.
func TestHalfAFrameIsNoneYet(t *testing.T) {
	whole, err := os.ReadFile(written(t, 1<<20, 1, "the first", "the second"))
	if err != nil {
		t.Fatal(err)
	}
	first := 16 + len("the first")
	for n := first; n < len(whole); n++ {
		r := bytes.NewReader(whole[:n])
		if f, err := outlog.Read(r); err != nil || string(f.Data) != "the first" {
			t.Fatalf("of %d bytes: %q, %v", n, f.Data, err)
		}
		if _, err := outlog.Read(r); !errors.Is(err, io.EOF) {
			t.Fatalf("of %d bytes, the second: %v, want EOF", n, err)
		}
		at, _ := r.Seek(0, io.SeekCurrent)
		r.Reset(whole)
		_, _ = r.Seek(at, io.SeekStart)
		if f, err := outlog.Read(r); err != nil || string(f.Data) != "the second" {
			t.Fatalf("of %d bytes, then of all: %q, %v", n, f.Data, err)
		}
	}
}

// What is no frame is an error: it is neither shown nor taken for a length.
func TestDamageIsTold(t *testing.T) {
	whole, err := os.ReadFile(written(t, 1<<20, 1, "text"))
	if err != nil {
		t.Fatal(err)
	}
	for at, what := range map[int]string{0: "magic", 1: "stream", 4: "length"} {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x7f
		if f, err := outlog.Read(bytes.NewReader(damaged)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a damaged %s: %+v, %v", what, f, err)
		}
	}
}

// A piece that was moved while the pieces are opened is not read twice, and one that was not
// there is left out.
func TestOpenReadsNothingTwice(t *testing.T) {
	path := written(t, 1<<20, 3, "text")
	if err := os.Link(path, outlog.Piece(path, 1)); err != nil { // between a rename and a new piece
		t.Fatal(err)
	}
	if frames := read(t, path, 3); len(frames) != 1 {
		t.Errorf("%d frames, want 1", len(frames))
	}
	if pieces, err := outlog.Open(filepath.Join(t.TempDir(), "log"), 3); err != nil || len(pieces) != 0 {
		t.Errorf("of no log: %v, %v", pieces, err)
	}
}

// When the next piece can't be begun, output is dropped and the sandbox goes on; as soon as
// it can, the log goes on too.
func TestOutputThatCannotBeWrittenIsDropped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "box")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := outlog.NewWriter(filepath.Join(dir, "log"), 20, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	away := dir + "-away"
	for step, change := range []func() error{
		func() error { return nil },
		func() error { return os.Rename(dir, away) },
		func() error { return nil },
		func() error { return os.Rename(away, dir) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		w.Copy(strings.NewReader(fmt.Sprint("step ", step)), false)
	}
	frames := read(t, filepath.Join(dir, "log"), 2)
	if n := len(frames); n == 0 || string(frames[n-1].Data) != "step 3" {
		t.Errorf("read %+v, want the last to be step 3", frames)
	}
}
