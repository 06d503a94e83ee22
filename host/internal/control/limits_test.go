package control

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/berth-dev/berth/host/internal/api"
)

// TestLimitsAsDescribed wants the numbers in the API's description to be those that hold.
func TestLimitsAsDescribed(t *testing.T) {
	const chunk = 64 // KiB; the SDK holds it
	description := text(t, "../../../proto/control/v1/control.proto")
	for _, want := range []string{
		fmt.Sprintf("string agent_id = 4; // free text without control characters, at most %d bytes\n", api.MaxAgentID),
		fmt.Sprintf("metadata = 7; // at most %d items of %d bytes a key, %d KiB in all\n", api.MaxMetadataItems, api.MaxMetadataKey, api.MaxMetadataBytes>>10),
		fmt.Sprintf("int32 page_size = 1; // 0: %d; at most %d\n", defaultPage, maxPage),
		fmt.Sprintf("bytes data = 2; // whole lines or a part of one, at most %d KiB\n", chunk),
	} {
		if !strings.Contains(description, want) {
			t.Errorf("control.proto does not say %q; it and the code have to say the same", want)
		}
	}
	held := fmt.Sprintf("const maxChunk = %d << 10\n", chunk)
	if !strings.Contains(text(t, "../../../sdk/internal/wire/abilities.go"), held) {
		t.Errorf("the SDK has no %q, which control.proto promises", held)
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
