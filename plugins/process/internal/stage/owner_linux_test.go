package stage

import "testing"

func TestMapped(t *testing.T) {
	const all, few = "         0          0 4294967295\n", "         0     100000      65536\n     70000     200000          1\n"
	for _, c := range []struct {
		uidMap string
		uid    int
		want   bool
	}{
		{all, 0x70000000 + 65534, true},
		{few, 0x70000000 + 65534, false},
		{few, 65535, true},
		{few, 65536, false},
		{few, 70000, true},
		{few, 70001, false},
		{"", 0, false},
	} {
		if got := mapped(c.uidMap, c.uid); got != c.want {
			t.Errorf("%d in %q: %v", c.uid, c.uidMap, got)
		}
	}
	if owner := (&Blank{UID: 0xfffffffe}).owner(); owner > 0x7fffffff {
		t.Errorf("the owner of a great user id is %d", owner)
	}
}
