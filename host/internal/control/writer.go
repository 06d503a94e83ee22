package control

import (
	"net/http"
	"time"
)

const (
	writeTime = 30 * time.Second // in which a caller has to take a piece of an answer
	piece     = 64 << 10         // of an answer, in bytes
)

// writer is an answer that a caller has to read: a piece that it does not take in time
// ends the call. It sets a deadline before each piece. A stream takes it back after: in
// HTTP/2 a deadline that passes ends the stream though nothing waits to be written. An
// answer that is written at once keeps it until it is sent. A platform's server that can't
// set one has limits of its own.
type writer struct {
	http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
	stream  bool
}

func newWriter(w http.ResponseWriter, within time.Duration, stream bool) *writer {
	return &writer{w, http.NewResponseController(w), within, stream}
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write writes piece by piece, so that one who reads slowly but reads is not cut off.
func (w *writer) Write(p []byte) (written int, err error) {
	for {
		n, err := w.write(p[:min(len(p), piece)])
		if written += n; err != nil || n == len(p) {
			return written, err
		}
		p = p[n:]
	}
}

func (w *writer) write(p []byte) (int, error) {
	w.begin()
	defer w.end()
	return w.ResponseWriter.Write(p)
}

// Flush is FlushError for those who don't ask.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError sends what was written.
func (w *writer) FlushError() error {
	w.begin()
	defer w.end()
	return w.control.Flush()
}

// finish is for the end of a call, and for what net/http has not sent until then. It
// takes the deadline back when all is sent.
func (w *writer) finish() { w.begin() }

func (w *writer) begin() { _ = w.control.SetWriteDeadline(time.Now().Add(w.within)) }

func (w *writer) end() {
	if w.stream {
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}
