package lease

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
)

// damage is a finding about the file's content. Any other error of a check means that
// the file could not be read.
type damage struct {
	reason  string
	movedTo string // where the file is now; "" while it was not moved
}

func (d *damage) Error() string { return d.reason }

func damaged(format string, args ...any) error {
	return &damage{reason: fmt.Sprintf(format, args...)}
}

func isDamage(err error) bool {
	var d *damage
	return errors.As(err, &d)
}

// meta is what a check needs of a meta page.
type meta struct {
	pageSize, root, freelist, high, txid uint64

	other string // why the other meta page can't be read; "" when both can
}

// readMeta reads the meta page at off. It reports why there is none, or errNewer.
func readMeta(r io.ReaderAt, off int64) (meta, error) {
	b := make([]byte, pageHeaderSize+metaSize)
	if _, err := r.ReadAt(b, off); err == io.EOF {
		return meta{}, damaged("the file ends within its header")
	} else if err != nil {
		return meta{}, err
	}
	b = b[pageHeaderSize:]
	if order.Uint32(b) != boltMagic {
		return meta{}, damaged("no lease file: its magic number is %#x", order.Uint32(b))
	}
	h := fnv.New64a()
	h.Write(b[:56])
	if h.Sum64() != order.Uint64(b[56:]) {
		return meta{}, damaged("the header's checksum does not fit")
	}
	if v := order.Uint32(b[4:]); v != boltVersion {
		return meta{}, fmt.Errorf("bbolt format %d, this is %d: %w", v, boltVersion, errNewer)
	}
	m := meta{
		pageSize: uint64(order.Uint32(b[8:])),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		high:     order.Uint64(b[40:]),
		txid:     order.Uint64(b[48:]),
	}
	if m.pageSize < 1024 || m.pageSize > 16<<20 || bits.OnesCount64(m.pageSize) != 1 {
		return meta{}, damaged("a page size of %d", m.pageSize)
	}
	return m, nil
}

// newestMeta finds the meta page that bbolt will go by: the newest good one of two. The
// other may be torn, by a crash in the middle of a commit that nobody was told of; or it was
// damaged later, and a commit is undone that somebody was told of. Nothing tells which, so
// other says that it is so.
func newestMeta(r io.ReaderAt, size int64) (meta, error) {
	first, err := readMeta(r, 0)
	if err == nil {
		second, err := readMeta(r, int64(first.pageSize))
		switch {
		case err != nil:
			first.other = err.Error()
		case second.pageSize != first.pageSize:
			first.other = fmt.Sprintf("a page size of %d, and the other header has %d", second.pageSize, first.pageSize)
		case second.txid > first.txid:
			return second, nil
		}
		return first, nil
	}
	if !isDamage(err) {
		return meta{}, err
	}
	for at := int64(1024); at <= 16<<20 && at < size; at *= 2 {
		if m, err2 := readMeta(r, at); err2 == nil && int64(m.pageSize) == at {
			m.other = err.Error()
			return m, nil
		}
	}
	return meta{}, err
}
