package control

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"

	"github.com/berth-dev/berth/host/internal/api"
	"github.com/berth-dev/berth/host/internal/control/convert"
)

const (
	maxBody      = 1 << 20          // of a request, in bytes, also when unpacked
	bodyTime     = 30 * time.Second // in which a request's body has to arrive
	idleTime     = 2 * time.Minute  // in which the next part of an open request has to
	compressFrom = 16 << 10         // answers of fewer bytes are not compressed
)

func tooLarge(op string) error {
	return convert.ErrorToConnect(&api.Error{Code: api.CodeInvalidArgument, Op: op,
		Message: fmt.Sprintf("the body is over the limit of %d bytes; send less", maxBody)})
}

// untilRead gives a request's body its time to arrive, whoever reads it: net/http does,
// where no handler has. A platform's server that can't set a deadline has limits of its
// own.
func untilRead(w http.ResponseWriter, r *http.Request, within time.Duration) {
	if r.Body == http.NoBody { // net/http reads on already, to see whether the caller leaves
		return
	}
	// net/http takes the deadline back when the body has come.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within))
}

// lastAnswer closes the connection after the answer to a request whose body nobody reads:
// net/http would wait for the body before it answers. HTTP/2 does not.
func lastAnswer(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.Body != http.NoBody {
		w.Header().Set("Connection", "close")
	}
}

// withBody is the request with another body. The request itself has to keep its own:
// net/http looks at that to see whether it was read, and whether another request follows.
func withBody(r *http.Request, body io.ReadCloser) *http.Request {
	r = r.WithContext(r.Context())
	r.Body = body
	return r
}

// open is the body of a request that goes on as long as the call. Each part has its time
// to arrive.
type open struct {
	io.ReadCloser
	wait func()
}

// Read reads the next part.
func (b open) Read(p []byte) (int, error) {
	b.wait()
	return b.ReadCloser.Read(p)
}

// body is the body of a request, bounded in size; untilRead bounds its time. Its errors
// are those that the caller gets.
type body struct {
	io.ReadCloser
	op   string
	left int64 // that may still come
}

func bounded(r *http.Request, op string) io.ReadCloser {
	return &body{ReadCloser: r.Body, op: op, left: maxBody}
}

// Read reads up to the limit, and one byte more to know whether there is more.
func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	switch {
	case b.left < 0:
		return 0, tooLarge(b.op)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = convert.ErrorToConnect(&api.Error{Code: api.CodeInvalidArgument, Op: b.op,
			Message: fmt.Sprintf("the body did not arrive within %v", bodyTime)})
	}
	return n, err
}

// gunzip unpacks a request up to the limit.
type gunzip struct {
	gzip.Reader
	left int64
	bad  error // of Reset
}

func newGunzip() connect.Decompressor { return &gunzip{} }

// Reset begins with another request.
func (g *gunzip) Reset(r io.Reader) error {
	g.left = maxBody
	g.bad = g.Reader.Reset(r) // Read tells of it: what is told here goes without our detail
	return nil
}

// Read unpacks.
func (g *gunzip) Read(p []byte) (int, error) {
	if g.bad != nil {
		return 0, notGzip(g.bad)
	}
	n, err := g.Reader.Read(p)
	if g.left -= int64(n); g.left < 0 {
		return 0, tooLarge("")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, notGzip(err)
	}
	return n, err
}

// Close ends it. A gzip.Reader that was never given gzip can't be closed.
func (g *gunzip) Close() error {
	if g.bad != nil {
		return nil
	}
	return g.Reader.Close()
}

func notGzip(err error) error {
	return convert.ErrorToConnect(&api.Error{Code: api.CodeInvalidArgument, Message: "the body says that it is gzip and is not: " + err.Error()})
}

func newGzip() connect.Compressor { return gzip.NewWriter(io.Discard) }
