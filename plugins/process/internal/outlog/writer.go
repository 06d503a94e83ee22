package outlog

import (
	"io"
	"os"
	"sync"
	"time"
)

// Writer writes a log. When a piece has reached its size it is moved aside, and the
// oldest is dropped. Output that can't be written is dropped too: a full disk must not
// hold up a sandbox, and when it has room again, the log goes on.
type Writer struct {
	path  string
	bytes int64
	files int

	mu     sync.Mutex
	file   *os.File // nil when the newest piece could not be begun
	size   int64
	buf    []byte
	closed bool
}

// NewWriter begins a log at path, of at most files pieces of bytes each.
func NewWriter(path string, bytes int64, files int) (*Writer, error) {
	w := &Writer{path: path, bytes: bytes, files: files}
	return w, w.open()
}

func (w *Writer) open() error {
	w.size = 0
	file, err := os.OpenFile(w.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err == nil {
		w.file = file
	}
	return err
}

// Copy copies r, one of the sandbox's streams, into the log until its end.
func (w *Writer) Copy(r io.Reader, stderr bool) {
	buf := make([]byte, MaxFrame)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			w.write(Frame{At: time.Now(), Stderr: stderr, Data: buf[:n]})
		}
		if err != nil {
			return
		}
	}
}

func (w *Writer) write(f Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.buf = encode(w.buf, f)
	if w.file == nil || w.size > 0 && w.size+int64(len(w.buf)) > w.bytes {
		w.turn()
	}
	if w.file == nil {
		return
	}
	n, err := w.file.Write(w.buf)
	if err != nil && n > 0 { // a piece of a frame would hide all that follows
		_ = w.file.Truncate(w.size)
		n = 0
	}
	w.size += int64(n)
}

// turn begins a new piece. When it has failed it is tried anew, and moves no piece twice.
func (w *Writer) turn() {
	_ = w.close()
	if _, err := os.Lstat(w.path); err == nil {
		for i := w.files - 1; i > 0; i-- {
			_ = os.Rename(Piece(w.path, i-1), Piece(w.path, i))
		}
	}
	if w.files == 1 {
		_ = os.Remove(w.path) // a reader keeps what it has
	}
	_ = w.open()
}

// Close ends the log; what comes later is dropped.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.close()
}

func (w *Writer) close() error {
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	return file.Close()
}
