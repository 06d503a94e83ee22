package bytesize_test

import (
	"errors"
	"math"
	"testing"

	"github.com/berth-dev/berth/sdk/bytesize"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{
		"0B":                    0,
		"007B":                  7,
		"512MiB":                512 << 20,
		"512 MiB":               512 << 20,
		"1.5GiB":                3 << 29,
		"0.5KiB":                512,
		"2.0B":                  2,
		"8388607TiB":            8388607 << 40,
		"9007199254740993B":     1<<53 + 1, // no float64 holds it
		"9007199254740990.5KiB": 9007199254740990<<10 + 512,
		"9223372036854775807B":  math.MaxInt64,
		"9007199254740991.5KiB": 1<<63 - 512,
		"8388607.9990234375TiB": 1<<63 - 1<<30,
	} {
		got, err := bytesize.Parse(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const form, units = `The units are B, KiB, MiB, GiB and TiB, as in "512MiB".`, " The units are B, KiB, MiB, GiB and TiB."
	for text, remedy := range map[string]string{
		"":                     form,
		"MiB":                  form,
		"-1B":                  form,
		"+1B":                  form,
		"1e3B":                 form,
		"0x10B":                form,
		"1_000B":               form,
		".5KiB":                form,
		"1.KiB":                form,
		"NaNB":                 form,
		"InfB":                 form,
		" 1B":                  form,
		"1B ":                  form,
		"1B\n":                 form,
		"1  B":                 form,
		"1\tB":                 form,
		"1/2KiB":               form,
		"١B":                   form,
		"1PiB":                 form,
		"1mib":                 `Write "1MiB".` + units,
		"512MB":                `Write "512MiB".` + units,
		"1.5g":                 `Write "1.5GiB".` + units,
		"512":                  `Write "512B" for bytes.` + units,
		"0.5B":                 "It comes to 0.500 bytes.",
		"1.0000001MiB":         "It comes to 1048576.105 bytes.",
		"9223372036854775808B": "It comes to 9223372036854775808 bytes, which is more than 64 bits hold.",
		"8388608TiB":           "It comes to 9223372036854775808 bytes, which is more than 64 bits hold.",
		"99999999TiB":          "It comes to 109951161678088372224 bytes, which is more than 64 bits hold.",
	} {
		got, err := bytesize.Parse(text)
		var bad *bytesize.Error
		if !errors.As(err, &bad) || got != 0 {
			t.Errorf("%q: %d, %v", text, got, err)
			continue
		}
		if bad.Text != text || bad.Remedy != remedy {
			t.Errorf("%q: %q, want %q", text, bad.Remedy, remedy)
		}
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 1: "1B", 1024: "1KiB", 1025: "1025B", 10 << 20: "10MiB", 3 << 40: "3TiB", 1 << 50: "1024TiB"} {
		got := bytesize.Format(n)
		back, err := bytesize.Parse(got)
		if got != want || err != nil || back != n {
			t.Errorf("%d: %s, read back as %d, %v; want %s", n, got, back, err, want)
		}
	}
}
