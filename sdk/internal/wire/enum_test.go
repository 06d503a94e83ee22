package wire

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/berth-dev/berth/proto/provider/v1"
)

// TestEveryEnumValueHasAName goes through the numbers of each enum of the boundary: each
// but 0 stands for a name of the contract, no other number does, and each constant of the
// contract has a number.
func TestEveryEnumValueHasAName(t *testing.T) {
	named := values(t)
	checkEnum(t, classes, named["Class"], pb.ErrorClass(0).Descriptor())
	checkEnum(t, outcomes, named["Outcome"], pb.Outcome(0).Descriptor())
	checkEnum(t, states, named["State"], pb.State(0).Descriptor())
	checkEnum(t, types, named["Type"], pb.AttributeType(0).Descriptor())
	checkEnum(t, severities, named["Severity"], pb.Severity(0).Descriptor())
	checkEnum(t, swaps, named["SwapPolicy"], pb.SwapPolicy(0).Descriptor())
	checkEnum(t, eventKinds, named["EventKind"], pb.EventKind(0).Descriptor())
	if n := pb.File_provider_v1_provider_proto.Enums().Len(); n != 7 {
		t.Errorf("the boundary has %d enums, and this test 7", n)
	}
}

func checkEnum[N ~string, P ~int32](t *testing.T, e enum[N, P], named []string, d protoreflect.EnumDescriptor) {
	t.Helper()
	if e.known(0) || e.known(1<<20) {
		t.Errorf("%s: a number that means nothing is known", d.FullName())
	}
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		if v.Number() == 0 {
			continue
		}
		name := e.name(P(v.Number()))
		if name == "" || e.number(name) != P(v.Number()) {
			t.Errorf("%s has no name in the contract", v.FullName())
		}
	}
	if len(named) == 0 {
		t.Errorf("%s: no constants of the contract were found", d.FullName())
	}
	for _, name := range named {
		if e.number(N(name)) == 0 {
			t.Errorf("%q of the contract has no number in %s", name, d.FullName())
		}
	}
	if len(e.numbers) != d.Values().Len()-1 {
		t.Errorf("%s: %d names for %d numbers", d.FullName(), len(e.numbers), d.Values().Len()-1)
	}
}
