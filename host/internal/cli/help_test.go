package cli

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each verb tells what it does, once, and shows how.
func TestEveryCommandExplainsItself(t *testing.T) {
	var names []string
	walk((&app{}).root(), func(c *cobra.Command) {
		path := c.CommandPath()
		names = append(names, c.Name())
		for what, text := range map[string]string{"Short": c.Short, "Long": c.Long, "Example": c.Example} {
			if text == "" {
				t.Errorf("%s has no %s", path, what)
			}
			if twice := doubled.FindString(text); twice != "" && what != "Example" {
				t.Errorf("%s stutters in %s: %q", path, what, twice)
			}
			for line := range strings.Lines(text) {
				if what != "Example" && len(line) > 120 {
					t.Errorf("%s: a line of %s is %d characters long: %q", path, what, len(line), line)
				}
			}
		}
		if strings.HasSuffix(c.Short, ".") || c.Short != strings.ToUpper(c.Short[:1])+c.Short[1:] {
			t.Errorf("%s: Short begins with a capital and ends without a full stop: %q", path, c.Short)
		}
		if c.HasParent() && !strings.Contains(c.Example, path) {
			t.Errorf("%s: the example does not use it: %q", path, c.Example)
		}
		for line := range strings.Lines(c.LocalFlags().FlagUsages()) {
			if !explained.MatchString(line) || strings.Contains(line, " string ") {
				t.Errorf("%s: a flag does not say what it is and takes: %q", path, line)
			}
		}
	})
	for _, verb := range strings.Fields("serve validate demo create ensure get list extend stop delete watch logs providers doctor reap version completion help") {
		if !slices.Contains(names, verb) {
			t.Errorf("there is no verb %s", verb)
		}
	}
}

// explained is a flag with its words.
var explained = regexp.MustCompile(`--[a-z-]+( \S+)?   *\w+`)

var doubled = regexp.MustCompile(`(?i)\b(the the|a a|is is|to to|of of|that that|and and|in in)\b`)

func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		walk(sub, f)
	}
}
