package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/berth-dev/berth/sdk/provider"
)

const explained = `provider "docker" {
  config {
    pull   = "missing"
    allow  = ["host_network", "docker_socket"]
    labels = { a = "1", b = "2" }
    token  = "hunter2-secret"
    log {
      max_size = "1MiB"
    }
    registry {
      host = "one"
    }
    registry {
      host = "two"
    }
  }
}

template "a" {
  provider = "docker"
  network  = "host"

  mount "x" {
    source = "/x"
    target = "/x"
  }

  mount "y" {
    source = "/y"
    target = "/y"
  }

  config {
    runtime = "runc"
  }
}

template "bare" {
  provider = "docker"
  network  = "n"
}
`

func TestExplainPositions(t *testing.T) {
	p := mustParse(t, explained).Provider("docker")
	schemas := testSchemas()
	schemas.Sandbox.Attributes[0].Required = false
	if _, err := p.Bind(schemas); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		template string
		path     string // with spaces between its elements
		want     string
	}{
		{"", "", "2:3: error: wrong\n  in provider \"docker\":"},
		{"", "pull", "3:14: error: wrong\n"},
		{"", "allow", "4:14: error: wrong\n"},
		{"", "allow 1", "4:31: error: wrong\n"},
		{"", "allow 7", "4:14: error: wrong\n"},
		{"", "labels b", "5:25: error: wrong\n"},
		{"", "log max_size", "8:18: error: wrong\n  in provider \"docker\", config, log:"},
		{"", "log max_files", "7:5: error: wrong (max_files)\n"},
		{"", "registry host", "11:14: error: wrong\n"},
		{"", "registry 1 host", "14:14: error: wrong\n"},
		{"", "no such thing", "2:3: error: wrong (no.such.thing)\n"},
		{"a", "runtime", "34:15: error: wrong\n  in template \"a\", config:"},
		{"a", "", "33:3: error: wrong\n"},
		{"a", "template.network", "21:14: error: wrong\n"},
		{"a", "template network", "21:14: error: wrong\n"},
		{"a", "template.image", "19:1: error: wrong (image)\n"},
		{"a", "template.mount", "23:3: error: wrong\n"},
		{"a", "template.mount.y.source", "29:14: error: wrong\n"},
		{"a", "template.mount 1 target", "30:14: error: wrong\n"},
		{"bare", "runtime", "38:1: error: wrong (runtime)\n"},
		{"nobody", "runtime", "1:1: error: wrong (template \"nobody\")\n"},
	} {
		err := p.Explain(provider.Diagnostics{{Severity: provider.SeverityError, Summary: "wrong", Template: c.template, Path: strings.Fields(c.path)}})
		if err == nil || !strings.HasPrefix(err.Error(), "config.hcl:"+c.want) {
			t.Errorf("%q %q:\n%v\nwant config.hcl:%s", c.template, c.path, err, c.want)
		}
	}
}

func TestExplainWarnings(t *testing.T) {
	p := mustParse(t, explained).Provider("docker")
	found := provider.Diagnostics{
		{Severity: provider.SeverityWarning, Summary: "hm", Path: []string{"pull"}},
	}
	if err := p.Explain(found); err != nil {
		t.Errorf("a warning refuses: %v", err)
	}
	if err := p.Explain(nil); err != nil {
		t.Errorf("nothing refuses: %v", err)
	}
	if w := p.Findings(found).Warnings(); len(w) != 1 || w[0].Line != 3 || w[0].Summary != "hm" {
		t.Errorf("warnings %v", w)
	}
	found = append(found, provider.Diagnostic{Severity: "strange", Summary: "no"})
	if err := p.Explain(found); err == nil {
		t.Error("a severity that is not known must refuse")
	}
}

// A plugin can't show a secret, fill the screen, or command the terminal.
func TestExplainTamesPlugins(t *testing.T) {
	p := mustParse(t, explained).Provider("docker")
	schemas := testSchemas()
	schemas.Sandbox.Attributes[0].Required = false
	if _, err := p.Bind(schemas); err != nil {
		t.Fatal(err)
	}
	bad := provider.Diagnostic{
		Severity: provider.SeverityError,
		Summary:  "token \"hunter2-secret\"\x1b[2J\nis bad" + strings.Repeat("!", 5000),
		Detail:   strings.Repeat("line with hunter2-secret\n", 5000),
		Path:     []string{"token"},
	}
	found := make(provider.Diagnostics, 500)
	for i := range found {
		found[i] = bad
		found[i].Summary = fmt.Sprint(i, " ", bad.Summary)
	}
	err := p.Explain(found)
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	if strings.Contains(text, "hunter2") || strings.Contains(text, "\x1b") {
		t.Error("a secret or a control character is shown")
	}
	if len(text) > 200_000 || !strings.Contains(text, "400 more findings of the plugin are not shown") {
		t.Errorf("%d bytes of text", len(text))
	}
	if err := p.Explain(provider.Diagnostics{{}}); err == nil || !strings.Contains(err.Error(), "does not say why") {
		t.Errorf("an empty finding: %v", err)
	}
}

// Before the schema is known, every value of a config block may be a secret.
func TestExplainBeforeBind(t *testing.T) {
	p := mustParse(t, explained).Provider("docker")
	err := p.Explain(provider.Diagnostics{{Severity: provider.SeverityError, Summary: "no", Path: []string{"token"}}})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "token  = (hidden)") {
		t.Errorf("%v", err)
	}
}
