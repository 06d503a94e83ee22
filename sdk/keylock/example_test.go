package keylock_test

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-dev/berth/sdk/keylock"
)

// Who works on a name holds its key. Others wait for it as long as their context lets them;
// another name is free.
func ExampleLock() {
	var names keylock.Lock
	ctx := context.Background()
	unlock, err := names.Lock(ctx, "berth-owner-1")
	fmt.Println("the first:", err)

	impatient, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	_, err = names.Lock(impatient, "berth-owner-1")
	fmt.Println("the second:", err)

	other, err := names.Lock(ctx, "berth-owner-2")
	fmt.Println("of another name:", err)
	other()

	unlock()
	unlock, err = names.Lock(ctx, "berth-owner-1")
	fmt.Println("the third:", err)
	unlock()
	// Output:
	// the first: <nil>
	// the second: context deadline exceeded
	// of another name: <nil>
	// the third: <nil>
}
