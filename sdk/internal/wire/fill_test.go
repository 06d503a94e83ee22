package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/berth-dev/berth/sdk/provider"
)

// filler makes values of the contract whose every field has a value of its own that is
// not zero. It remembers the structs that it has seen.
type filler struct {
	t    *testing.T
	n    int
	seen map[string]bool
}

// known are the values of the types that are no free text. Each use takes the next one.
var known = map[reflect.Type][]string{
	reflect.TypeFor[provider.State]():      {"created", "running", "paused", "exited", "unknown"},
	reflect.TypeFor[provider.SwapPolicy](): {"auto", "require"},
	reflect.TypeFor[provider.EventKind]():  {"started", "exited", "removed", "progress"},
	reflect.TypeFor[provider.Severity]():   {"error", "warning"},
	reflect.TypeFor[provider.Class]():      {"not_found", "conflict", "unavailable"},
	reflect.TypeFor[provider.Type](): {"string", "bool", "int", "number", "duration", "bytes",
		"list(string)", "map(string)"},
}

// fill makes a whole value of T.
func fill[T any](f *filler) T {
	f.t.Helper()
	var v T
	f.value(reflect.ValueOf(&v).Elem(), 0)
	return v
}

func (f *filler) value(v reflect.Value, depth int) {
	f.n++
	t := v.Type()
	if values, ok := known[t]; ok {
		v.SetString(values[f.n%len(values)])
		return
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 4, 2, 12, 0, 0, f.n*1000, time.UTC)))
		return
	case reflect.TypeFor[time.Duration]():
		v.SetInt(int64(f.n) * int64(time.Millisecond))
		return
	case reflect.TypeFor[[]byte]():
		v.SetBytes([]byte("bytes " + strconv.Itoa(f.n)))
		return
	case reflect.TypeFor[provider.Outcome]():
		return // each verb has its own; see the caller
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString("text " + strconv.Itoa(f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n) + 1<<40) // would not survive 32 bits
	case reflect.Float64:
		v.SetFloat(float64(f.n) + 0.5)
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		f.value(v.Elem(), depth)
	case reflect.Slice:
		n := 2
		if t.Elem() == reflect.TypeFor[provider.Block]() && depth > 3 {
			return // a schema has blocks, which have schemas
		}
		v.Set(reflect.MakeSlice(t, n, n))
		for i := range n {
			f.value(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		for range 2 {
			key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			f.value(key, depth+1)
			f.value(elem, depth+1)
			v.SetMapIndex(key, elem)
		}
	case reflect.Struct:
		f.seen[t.Name()] = true
		for i := range t.NumField() {
			f.value(v.Field(i), depth+1)
		}
	default:
		f.t.Fatalf("the walk does not know how to fill %s: teach it", t)
	}
}

// survived fails for each field that differs, by its path.
func survived(t *testing.T, path string, got, want any) {
	t.Helper()
	for _, d := range differences(path, reflect.ValueOf(got), reflect.ValueOf(want)) {
		t.Error("lost or changed on the way: " + d)
	}
}

func differences(path string, got, want reflect.Value) []string {
	if reflect.DeepEqual(got.Interface(), want.Interface()) {
		return nil
	}
	var list []string
	switch want.Kind() {
	case reflect.Struct:
		if want.Type() == reflect.TypeFor[time.Time]() {
			break
		}
		for i := range want.NumField() {
			list = append(list, differences(path+"."+want.Type().Field(i).Name, got.Field(i), want.Field(i))...)
		}
		return list
	case reflect.Pointer:
		if !got.IsNil() && !want.IsNil() {
			return differences(path, got.Elem(), want.Elem())
		}
	case reflect.Slice:
		if got.Len() == want.Len() {
			for i := range want.Len() {
				list = append(list, differences(path+"["+strconv.Itoa(i)+"]", got.Index(i), want.Index(i))...)
			}
			return list
		}
	}
	return []string{fmt.Sprintf("%s is %v, and was %v", path, got, want)}
}
