// Package outlog is the log of a sandbox: what it printed, by stream and time, in files
// of a capped size and number. The shim writes it, the plugin reads it.
//
// A file is a sequence of frames: a header of 16 bytes (magic, stream, length, Unix time
// in nanoseconds; big endian) and the output. A frame that is cut off at the end of the
// newest file is one that is being written.
package outlog

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"time"
)

// MaxFrame is the longest piece of output in one frame.
const MaxFrame = 32 << 10

const (
	headerSize = 16
	magic      = 0xb7
)

var errFrame = errors.New("the log is damaged")

// Frame is a piece of output.
type Frame struct {
	At     time.Time
	Stderr bool
	Data   []byte
}

// encode puts a frame's header and data into one buffer.
func encode(buf []byte, f Frame) []byte {
	var stream byte
	if f.Stderr {
		stream = 1
	}
	buf = append(buf[:0], magic, stream, 0, 0)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(f.Data)))
	buf = binary.BigEndian.AppendUint64(buf, uint64(f.At.UnixNano()))
	return append(buf, f.Data...)
}

// Read reads the next frame. io.EOF: there is none yet, or none any more; the position of
// r is then unchanged.
func Read(r io.ReadSeeker) (Frame, error) {
	var h [headerSize]byte
	n, err := io.ReadFull(r, h[:])
	if err != nil {
		return Frame{}, back(r, int64(n), err)
	}
	size := binary.BigEndian.Uint32(h[4:])
	if h[0] != magic || h[1] > 1 || size > MaxFrame {
		return Frame{}, errFrame
	}
	f := Frame{Stderr: h[1] == 1, At: time.Unix(0, int64(binary.BigEndian.Uint64(h[8:]))), Data: make([]byte, size)}
	if m, err := io.ReadFull(r, f.Data); err != nil {
		return Frame{}, back(r, int64(n+m), err)
	}
	return f, nil
}

func back(r io.Seeker, n int64, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if _, err := r.Seek(-n, io.SeekCurrent); err != nil {
		return err
	}
	return io.EOF
}

// Piece is the path of the log's i-th piece; 0 is the newest.
func Piece(path string, i int) string {
	if i == 0 {
		return path
	}
	return path + "." + strconv.Itoa(i)
}

// Open opens the pieces that there are, oldest first. The caller closes them. Pieces that
// are moved meanwhile may be missing; none is opened twice.
func Open(path string, files int) ([]*os.File, error) {
	var out []*os.File
	for i := files - 1; i >= 0; i-- {
		f, err := os.Open(Piece(path, i))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && len(out) > 0 && same(out[len(out)-1], f) {
			f.Close()
			continue
		}
		if err != nil {
			for _, f := range out {
				f.Close()
			}
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func same(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
