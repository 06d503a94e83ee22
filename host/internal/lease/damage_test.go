package lease

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// used returns the path and content of a good file with many records and some free
// pages, and how much of it is in use.
func used(t testing.TB) (path string, content []byte, high int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "leases.db")
	s := openAt(t, path, Options{Owner: "me"})
	for i := range 120 {
		put(t, s, fmt.Sprintf("session-%03d", i))
	}
	for i := 0; i < 120; i += 3 {
		if err := s.Delete(t.Context(), fmt.Sprintf("session-%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newestMeta(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return path, content, int(m.high * m.pageSize)
}

func TestAGoodFilePassesTheCheck(t *testing.T) {
	_, content, _ := used(t)
	if _, err := check(bytes.NewReader(content), int64(len(content))); err != nil {
		t.Error(err)
	}
}

// Whatever bbolt writes is found good: many sizes, overflow pages, a tree that grows and
// shrinks to nothing.
func TestEveryGoodFilePassesTheCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	s := openAt(t, path, Options{})
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 100 {
		var group []write
		for range 1 + rng.IntN(40) {
			w := write{key: fmt.Sprintf("session-%03d", rng.IntN(400)), value: bytes.Repeat([]byte("x"), 1+rng.IntN(1<<rng.IntN(16)))}
			if rng.IntN(10) < i/10 { // towards the end only deletes
				w.value = nil
			}
			group = append(group, w)
		}
		if err := s.commit(group); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := check(bytes.NewReader(content), int64(len(content))); err != nil {
			t.Fatalf("seed %d, commit %d: %v", seed, i, err)
		}
	}
}

// Each damaged file is opened as what it is: a new store beside the moved one.
func TestADamagedFileIsMovedAside(t *testing.T) {
	_, content, high := used(t)
	page := os.Getpagesize()
	m, _ := newestMeta(bytes.NewReader(content), int64(len(content)))
	edit := func(f func(b []byte)) []byte {
		b := append([]byte(nil), content...)
		f(b)
		return b
	}
	zero := func(b []byte) { clear(b) }
	for name, bad := range map[string][]byte{
		"empty":                    {},
		"one byte":                 {1},
		"text":                     []byte(strings.Repeat("this is no lease file\n", 4000)),
		"only the header":          content[:2*page],
		"cut within the pages":     content[:high-page],
		"cut within a page":        content[:high-page/2],
		"both headers gone":        edit(func(b []byte) { zero(b[:2*page]) }),
		"root page zeroed":         edit(func(b []byte) { zero(b[int(m.root)*page:][:page]) }),
		"free list zeroed":         edit(func(b []byte) { zero(b[int(m.freelist)*page:][:page]) }),
		"root is the free list":    edit(func(b []byte) { copy(b[int(m.root)*page+8:], b[int(m.freelist)*page+8:][:page-8]) }),
		"root goes beyond the end": edit(func(b []byte) { order.PutUint32(b[int(m.root)*page+12:], 1<<30) }),
		"a count of 65535":         edit(func(b []byte) { order.PutUint16(b[int(m.root)*page+10:], 0xFFFF) }),
		"another deadline in a record": edit(func(b []byte) {
			// Everywhere, since old copies of pages lie about.
			copy(b, bytes.ReplaceAll(b, []byte(`12:05:00Z`), []byte(`12:50:00Z`)))
		}),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "leases.db")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			before := time.Now()
			s := openAt(t, path, Options{Owner: "me", Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if ok, _ := regexp.MatchString(`/leases\.damaged-\d{8}T\d{6}Z$`, s.Damaged()); !ok {
				t.Fatalf("moved to %q", s.Damaged())
			}
			if kept, err := os.ReadFile(s.Damaged()); err != nil || !bytes.Equal(kept, bad) {
				t.Errorf("the moved file is not what it was: %v", err)
			}
			if !strings.Contains(log.String(), "moved_to="+s.Damaged()) {
				t.Errorf("the log says %q", log.String())
			}
			if s.Birth().Before(before.Add(-time.Second)) {
				t.Errorf("the new store was born %v", s.Birth())
			}
			put(t, s, "a")
			if recs, err := s.All(t.Context()); err != nil || len(recs) != 1 {
				t.Errorf("%d records, %v", len(recs), err)
			}
		})
	}
}

// The header of the last commit is damaged: that commit is undone, which can't be told from a
// torn one. So it is said that it may be so, until a commit has mended the header; of the
// other header too, which may have been the newer one.
func TestADamagedHeaderIsTold(t *testing.T) {
	for newest, kept := range map[bool]int{true: 1, false: 2} {
		path := filepath.Join(t.TempDir(), "leases.db")
		s := openAt(t, path, Options{})
		put(t, s, "a")
		put(t, s, "b")
		s.Close()
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := newestMeta(bytes.NewReader(content), int64(len(content)))
		if err != nil || m.other != "" {
			t.Fatalf("a good file: %q, %v", m.other, err)
		}
		page := int(m.txid % 2)
		if !newest {
			page = 1 - page
		}
		clear(content[page*os.Getpagesize():][:os.Getpagesize()])
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if x := examine(t, path); x.Undone != "no lease file: its magic number is 0x0" || x.Damage != "" || len(x.Records) != kept {
			t.Errorf("newest %v: %+v", newest, x)
		}
		for _, told := range []bool{true, false} {
			var log bytes.Buffer
			s := openAt(t, path, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if recs, err := s.All(t.Context()); err != nil || s.Damaged() != "" || told && len(recs) != kept {
				t.Errorf("newest %v: %d records, moved to %q, %v", newest, len(recs), s.Damaged(), err)
			}
			want := `level=WARN msg="one of the two headers of the lease file is damaged; the last commit may be lost`
			if strings.Contains(log.String(), want) != told || !told && log.Len() > 0 {
				t.Errorf("newest %v: the log says %q, and it should be told: %v", newest, log.String(), told)
			}
			put(t, s, "c")
			s.Close()
		}
		if x := examine(t, path); x.Undone != "" {
			t.Errorf("newest %v: after a write it is still %q", newest, x.Undone)
		}
	}
}

func TestDamageTwiceInASecondKeepsBothFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	moved := map[string]bool{}
	for i := range 3 {
		if err := os.WriteFile(path, fmt.Append(nil, "garbage ", i), 0o600); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, path, Options{})
		moved[s.Damaged()] = true
		s.Close()
	}
	if len(moved) != 3 || len(names(t, filepath.Dir(path))) != 4 {
		t.Errorf("moved to %v; there are %v", moved, names(t, filepath.Dir(path)))
	}
}

// Whatever bytes change, opening neither crashes nor tells anything that was not written:
// the file is found damaged, or its records are those of its newest or its last header.
func TestNoDamageIsBelieved(t *testing.T) {
	_, content, high := used(t)
	good, birth := recordsOf(t, content)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	caught, harmless := 0, 0
	for i := range 150 {
		bad := append([]byte(nil), content...)
		for range 1 + rng.IntN(3) {
			at := rng.IntN(high)
			if i%3 == 0 { // in what gives the pages their shape
				at = at/os.Getpagesize()*os.Getpagesize() + rng.IntN(400)
			}
			bad[at] ^= byte(1 + rng.IntN(255))
		}
		if _, err := check(bytes.NewReader(bad), int64(len(bad))); isDamage(err) {
			caught++
			continue
		} else if err != nil && !errors.Is(err, errNewer) {
			t.Fatalf("case %d: %v", i, err)
		}
		path := filepath.Join(t.TempDir(), "leases.db")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if s.Damaged() != "" {
			caught++
		} else {
			harmless++
			recs, err := s.All(t.Context())
			if err != nil || !s.Birth().Equal(birth) {
				t.Fatalf("case %d: birth %v, %v", i, s.Birth(), err)
			}
			if len(recs) != len(good) && len(recs) != len(good)+1 { // the last commit was a delete
				t.Fatalf("case %d: %d records of %d", i, len(recs), len(good))
			}
			for _, rec := range recs {
				if want, ok := good[rec.SessionID]; ok && !reflect.DeepEqual(rec, want) {
					t.Fatalf("case %d: %+v", i, rec)
				}
			}
			put(t, s, "new")
		}
		s.Close()
		os.RemoveAll(filepath.Dir(path))
	}
	t.Logf("seed %d: %d found damaged, %d harmless", seed, caught, harmless)
	if caught < 30 || harmless < 5 {
		t.Errorf("%d found damaged, %d harmless: the test tests too little", caught, harmless)
	}
}

// A changed count would hide records without a trace: the pages have no checksum.
func TestNoRecordIsHidden(t *testing.T) {
	_, content, high := used(t)
	small := filepath.Join(t.TempDir(), "leases.db") // its buckets are inline
	s := openAt(t, small, Options{})
	put(t, s, "a", "b")
	s.Close()
	inline, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	size := os.Getpagesize()
	noticed := 0
	for _, file := range [][]byte{content[:high], inline} {
		good, _ := recordsOf(t, file)
		var at []int // counts on pages, and in the pages within buckets' values
		for page := 2; (page+1)*size <= min(high, len(file)); page++ {
			flags, count := order.Uint16(file[page*size+8:]), int(order.Uint16(file[page*size+10:]))
			if flags != leafPage && flags != branchPage {
				continue
			}
			at = append(at, page*size+10)
			for i := range count {
				e := page*size + pageHeaderSize + i*elementSize
				if flags == leafPage && order.Uint32(file[e:])&bucketFlag != 0 {
					at = append(at, e+int(order.Uint32(file[e+4:])+order.Uint32(file[e+8:]))+bucketSize+10)
				}
			}
		}
		for _, at := range at {
			count := order.Uint16(file[at:])
			for _, fewer := range []uint16{0, 1, count / 2, count - 1} {
				if fewer >= count {
					continue
				}
				bad := append([]byte(nil), file...)
				order.PutUint16(bad[at:], fewer)
				if _, err := check(bytes.NewReader(bad), int64(len(bad))); err != nil {
					noticed++
				} else if got, _ := recordsOf(t, bad); !reflect.DeepEqual(got, good) {
					t.Errorf("count %d at %d set to %d: %d records of %d", count, at, fewer, len(got), len(good))
				}
			}
		}
	}
	if noticed < 20 {
		t.Errorf("%d changes were noticed: the test tests too little", noticed)
	}
}

func recordsOf(t *testing.T, content []byte) (map[string]Record, time.Time) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "leases.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, Options{})
	defer s.Close()
	recs, err := s.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]Record{}
	for _, r := range recs {
		byID[r.SessionID] = r
	}
	return byID, s.Birth()
}

func FuzzCheck(f *testing.F) {
	_, content, high := used(f)
	f.Add(content[:high], 0, byte(0))
	f.Add(content[:high], 8, byte(1))
	f.Fuzz(func(t *testing.T, b []byte, at int, x byte) {
		if len(b) > 0 {
			b = append([]byte(nil), b...)
			b[uint(at)%uint(len(b))] ^= x
		}
		if _, err := check(bytes.NewReader(b), int64(len(b))); err != nil && !isDamage(err) && !errors.Is(err, errNewer) {
			t.Errorf("neither good nor damaged: %v", err)
		}
	})
}

// A file that is cut off while it is mapped would end the process with SIGBUS.
func TestAFileCutWhileOpenFailsWritesOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases.db")
	s := openAt(t, path, Options{})
	for i := range 50 {
		put(t, s, fmt.Sprint(i))
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if recs, err := s.All(t.Context()); !errors.Is(err, provider.Unavailable) {
		t.Errorf("%d records, %v", len(recs), err)
	}
	for range 2 {
		if err := s.Put(t.Context(), record("a")); !errors.Is(err, provider.Unavailable) {
			t.Errorf("got %v", err)
		}
	}
	if err := s.Put(t.Context(), record("a")); err == nil || !strings.Contains(err.Error(), "restart the host") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = openAt(t, path, Options{}) // the lock is free, and the file is found damaged
	if s.Damaged() == "" {
		t.Error("a file that was cut off is not found damaged")
	}
	put(t, s, "a")
}
