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
	compressFrom = 16 << 10         // answers of fewer bytes are not compressed
)

func tooLarge(op string) error {
	return convert.ErrorToConnect(&api.Error{Code: api.CodeInvalidArgument, Op: op,
		Message: fmt.Sprintf("the body is over the limit of %d bytes; send less", maxBody)})
}

// body is the body of a request, bounded in size and in time. Its errors are those that
// the caller gets.
type body struct {
	io.ReadCloser
	op   string
	left int64 // that may still come
}

func bounded(w http.ResponseWriter, r *http.Request, op string) io.ReadCloser {
	b := &body{ReadCloser: r.Body, op: op, left: maxBody}
	// net/http takes the deadline back when the body has come. A platform's server that
	// can't set one has limits of its own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	return b
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
}

func newGunzip() connect.Decompressor { return &gunzip{} }

// Reset begins with another request.
func (g *gunzip) Reset(r io.Reader) error {
	g.left = maxBody
	return g.Reader.Reset(r)
}

// Read unpacks.
func (g *gunzip) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if g.left -= int64(n); g.left < 0 {
		return 0, tooLarge("")
	}
	return n, err
}

func newGzip() connect.Compressor { return gzip.NewWriter(io.Discard) }
