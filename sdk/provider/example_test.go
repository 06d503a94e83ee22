package provider_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-dev/berth/sdk/provider"
)

// A class is an error itself, so errors.Is asks for it, through every wrapping and over the
// process boundary.
func ExampleError() {
	cause := errors.New("dial unix /run/backend.sock: no such file or directory")
	err := fmt.Errorf("outer: %w", &provider.Error{Class: provider.Unavailable, Op: "list", Message: "the backend does not answer", Err: cause})
	fmt.Println(err)
	fmt.Println(errors.Is(err, provider.Unavailable), errors.Is(err, provider.NotFound), errors.Is(err, cause))
	// Output:
	// outer: list: the backend does not answer: dial unix /run/backend.sock: no such file or directory
	// true false true
}

// An error without a class is Internal; those of a context are Canceled.
func ExampleClassOf() {
	fmt.Println(provider.ClassOf(errors.New("boom")))
	fmt.Println(provider.ClassOf(context.DeadlineExceeded))
	fmt.Println(provider.ClassOf(provider.NotFound))
	// Output:
	// internal
	// canceled
	// not found
}

// talker is a provider that can show logs, and no events.
type talker struct{ provider.Provider }

func (talker) Logs(_ context.Context, _ provider.LogsRequest, yield func(provider.LogChunk) error) error {
	return yield(provider.LogChunk{Data: []byte("hello\n")})
}

// A provider claims an ability by having its methods.
func ExampleCapabilitiesOf() {
	for _, c := range provider.CapabilitiesOf(talker{}) {
		fmt.Println(string(c))
	}
	// Output: logs
}
