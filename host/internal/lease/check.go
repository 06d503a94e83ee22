package lease

import (
	"bytes"
	"encoding/binary"
	"io"
)

// What bbolt's file format, version 2, says. All integers are in the machine's order.
const (
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	pageHeaderSize = 16 // id 8, flags 2, count 2, overflow 4
	metaSize       = 64
	elementSize    = 16 // of a branch and of a leaf
	bucketSize     = 16 // root page 8, sequence 8
	noFreelist     = ^uint64(0)
	maxDepth       = 64 // far above what any real tree has

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 0x01
)

var order = binary.NativeEndian

// checker walks all pages of one file.
type checker struct {
	r    io.ReaderAt
	meta meta
	seen bitset // pages in use
}

// check reads a whole bbolt file of size bytes and reports the first damage: in header,
// length, page tree, key order or list of free pages. It holds a few pages at a time.
// A page that is neither used nor free is lost space, and no damage. Of a good file, undone
// tells why one of its two headers can't be read; "" when both can.
func check(r io.ReaderAt, size int64) (undone string, err error) {
	m, err := newestMeta(r, size)
	if err != nil {
		return "", err
	}
	if m.high < 4 || m.high > uint64(size)/m.pageSize {
		return "", damaged("the file has %d bytes, its header speaks of %d pages of %d", size, m.high, m.pageSize)
	}
	c := &checker{r: r, meta: m, seen: newBitset(m.high)}
	if err := c.tree(m.root, nil, nil, 0); err != nil {
		return "", err
	}
	if err := c.freelist(); err != nil {
		return "", err
	}
	return m.other, nil
}

// page reads a page with its overflow, and marks it as used.
func (c *checker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= c.meta.high {
		return nil, damaged("page %d does not exist", id)
	}
	buf := make([]byte, c.meta.pageSize)
	if err := c.read(buf, id); err != nil {
		return nil, err
	}
	if got := order.Uint64(buf); got != id {
		return nil, damaged("page %d says that it is page %d", id, got)
	}
	over := uint64(order.Uint32(buf[12:]))
	if over >= c.meta.high-id {
		return nil, damaged("page %d goes beyond the end", id)
	}
	for i := id; i <= id+over; i++ {
		if !c.seen.add(i) {
			return nil, damaged("page %d is used twice", i)
		}
	}
	if over > 0 {
		buf = make([]byte, (over+1)*c.meta.pageSize)
		if err := c.read(buf, id); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func (c *checker) read(buf []byte, id uint64) error {
	if _, err := c.r.ReadAt(buf, int64(id*c.meta.pageSize)); err == io.EOF {
		return damaged("the file ends within page %d", id)
	} else if err != nil {
		return err
	}
	return nil
}

// tree walks the tree under a page, whose keys are at least low and below high; nil is
// no limit.
func (c *checker) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return damaged("page %d: its tree is deeper than %d", id, maxDepth)
	}
	buf, err := c.page(id)
	if err != nil {
		return err
	}
	if order.Uint16(buf[10:]) == 0 {
		return damaged("page %d is empty", id)
	}
	_, err = c.elements(id, buf, low, high, depth)
	return err
}

// elements checks what is on a page, in the file or inline in a bucket's value, and goes
// down from it. It returns where the page's content ends.
//
// bbolt writes keys and values one after another, right behind the elements, and keeps no
// empty page. Anything else means that a count or a size was changed, and that records
// are missing.
func (c *checker) elements(id uint64, buf []byte, low, high []byte, depth int) (int, error) {
	flags, count := order.Uint16(buf[8:]), int(order.Uint16(buf[10:]))
	if flags != branchPage && flags != leafPage {
		return 0, damaged("page %d: its kind is %#x", id, flags)
	}
	body := pageHeaderSize + count*elementSize // where keys and values begin
	if body > len(buf) {
		return 0, damaged("page %d: a count of %d", id, count)
	}
	next := body
	var keys, values [][]byte
	for at := pageHeaderSize; at < body; at += elementSize {
		e := buf[at:]
		pos, ksize, vsize := uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])), uint64(0)
		if flags == leafPage {
			pos, ksize, vsize = uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		}
		start := uint64(at) + pos
		if start != uint64(next) || start+ksize+vsize > uint64(len(buf)) || ksize == 0 {
			return 0, damaged("page %d: an entry is not where it should be", id)
		}
		next = int(start + ksize + vsize)
		key := buf[start : start+ksize]
		if low != nil && (bytes.Compare(key, low) < 0 || len(keys) > 0 && bytes.Equal(key, low)) ||
			high != nil && bytes.Compare(key, high) >= 0 {
			return 0, damaged("page %d: its keys are out of order", id)
		}
		low = key
		keys, values = append(keys, key), append(values, buf[start+ksize:start+ksize+vsize])
	}
	for i, key := range keys {
		e := buf[pageHeaderSize+i*elementSize:]
		var err error
		switch {
		case flags == branchPage:
			below := high
			if i+1 < len(keys) {
				below = keys[i+1]
			}
			err = c.tree(order.Uint64(e[8:]), key, below, depth+1)
		case order.Uint32(e)&bucketFlag != 0:
			err = c.bucket(id, values[i], depth+1)
		}
		if err != nil {
			return 0, err
		}
	}
	return next, nil
}

// bucket walks the bucket whose entry has this value.
func (c *checker) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketSize {
		return damaged("page %d: a bucket of %d bytes", id, len(value))
	}
	if root := order.Uint64(value); root != 0 {
		return c.tree(root, nil, nil, depth)
	}
	inline := value[bucketSize:]
	if len(inline) < pageHeaderSize || order.Uint16(inline[8:]) != leafPage {
		return damaged("page %d: a bucket within it is cut off", id)
	}
	if depth > maxDepth {
		return damaged("page %d: its buckets are nested deeper than %d", id, maxDepth)
	}
	end, err := c.elements(id, inline, nil, nil, depth)
	if err == nil && end != len(inline) {
		err = damaged("page %d: a bucket within it has entries that it does not count", id)
	}
	return err
}

// freelist checks the list of free pages: bbolt will write on them.
func (c *checker) freelist() error {
	id := c.meta.freelist
	if id == noFreelist {
		return nil
	}
	buf, err := c.page(id)
	if err != nil {
		return err
	}
	if flags := order.Uint16(buf[8:]); flags != freelistPage {
		return damaged("page %d: its kind is %#x, and it should list the free pages", id, flags)
	}
	count, ids := uint64(order.Uint16(buf[10:])), buf[pageHeaderSize:]
	if count == 0xFFFF {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return damaged("page %d: a count of %d free pages", id, count)
	}
	for ; count > 0; count, ids = count-1, ids[8:] {
		free := order.Uint64(ids)
		if free < 2 || free >= c.meta.high {
			return damaged("page %d is free and does not exist", free)
		}
		if !c.seen.add(free) {
			return damaged("page %d is free and in use", free)
		}
	}
	return nil
}

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n uint64) bitset { return make(bitset, n/64+1) }

// add adds i and reports whether it is new.
func (b bitset) add(i uint64) bool {
	if b[i/64]&(1<<(i%64)) != 0 {
		return false
	}
	b[i/64] |= 1 << (i % 64)
	return true
}
