package lease

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// BenchmarkPut shows what a durable write costs: bbolt's own Update of the same value, a
// Put alone, and Puts by many at once, who share commits.
func BenchmarkPut(b *testing.B) {
	b.Run("bbolt update", func(b *testing.B) {
		db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, boltOptions())
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		value, err := encode(record("x"))
		if err != nil {
			b.Fatal(err)
		}
		for i := 0; b.Loop(); i++ {
			err := db.Update(func(tx *bbolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists(leaseBucket)
				if err != nil {
					return err
				}
				return bucket.Put(fmt.Appendf(nil, "session-%03d", i%1000), value)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%d at once", writers), func(b *testing.B) {
			var commits, took atomic.Int64
			s := openAt(b, filepath.Join(b.TempDir(), "leases.db"), Options{Observe: func(d time.Duration) {
				commits.Add(1)
				took.Add(int64(d))
			}})
			work := make(chan int)
			done := make(chan error, writers)
			for range writers {
				go func() {
					for i := range work {
						if err := s.Put(b.Context(), record(fmt.Sprintf("session-%03d", i%1000))); err != nil {
							b.Error(err)
						}
					}
					done <- nil
				}()
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			for range writers {
				<-done
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/float64(commits.Load()), "writes/commit")
			b.ReportMetric(float64(took.Load())/float64(commits.Load()), "ns/commit")
		})
	}
}
