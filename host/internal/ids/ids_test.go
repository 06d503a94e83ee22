package ids_test

import (
	"strings"
	"testing"

	"github.com/berth-dev/berth/host/internal/ids"
)

func TestParse(t *testing.T) {
	const id = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
	bare := strings.ReplaceAll(id, "-", "")
	for _, s := range []string{id, strings.ToUpper(id), bare, "{" + id + "}", "urn:uuid:" + id, "URN:UUID:" + strings.ToUpper(id)} {
		if got, err := ids.Parse(s); got != id || err != nil {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "7", id + "0", "X" + id + "Y", "(" + id + ")", "{" + id + ")", "\n" + id + "\n", "{" + bare + "}", "{" + id, "urn:" + id, bare[1:] + "g"} {
		if got, err := ids.Parse(s); err == nil {
			t.Errorf("%q is taken for %s", s, got)
		}
	}
}
