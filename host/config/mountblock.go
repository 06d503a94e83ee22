package config

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// mounts reads a template's mount blocks.
func (s *section) mounts(t *Template) {
	targets := map[string]string{}
	for _, b := range s.body.Blocks {
		if b.Type != "mount" || len(b.Labels) == 0 {
			continue
		}
		sub := s.open(b.Body, b.DefRange(), mountNames)
		m := sub.mount(b.Labels[0])
		if m.target != "" {
			if other, twice := targets[m.target]; twice {
				sub.fail(sub.attr("target").Expr.Range(), fmt.Sprintf("target %s is that of mount %q too", quote(m.target), other), "Each mount needs a target of its own.")
			}
			targets[m.target] = m.name
		}
		if m.source != nil {
			t.mounts = append(t.mounts, m)
		}
	}
}

// mount reads one mount block. Its source is nil when it can't be used.
func (s *section) mount(name string) *mount {
	m := &mount{name: name, readOnly: s.flag("read_only")}
	if s.attr("target") == nil {
		s.missing("target", "Name the path in the sandbox: target = \"/workspace/"+name+"\".")
	} else {
		m.target = s.text("target", "", absolute, unslashed, notRoot("A mount can't take the place of the sandbox's root."))
	}
	if attr := s.attr("source"); attr == nil {
		s.missing("source", "Name the directory on the host: source = \"/srv/"+name+"\".")
	} else if s.names(attr.Expr, "source", true) {
		m.source, m.rng, m.constant = attr.Expr, attr.Expr.Range(), len(attr.Expr.Variables()) == 0
	}
	s.create(m)
	return m
}

// unslashed refuses a slash at the end.
func unslashed(s string) (limit, remedy string) {
	if s != "/" && strings.HasSuffix(s, "/") {
		return "a path without \"/\" at its end", "Write " + quote(path.Clean(s)) + "."
	}
	return "", ""
}

// create reads how a missing source is made.
func (s *section) create(m *mount) {
	wanted := s.flag("create")
	dir := &CreateDir{Owner: s.text("owner", "", user), Mode: 0o700}
	if text := s.octal("mode"); text != "" {
		bits, _ := strconv.ParseUint(text, 8, 32)
		dir.Mode = fs.FileMode(bits)
	}
	if wanted {
		m.create = dir
		return
	}
	for _, name := range []string{"owner", "mode"} {
		if attr := s.attr(name); attr != nil {
			s.fail(attr.Range(), name+" is only for a directory that the host makes", "Set create = true, or remove "+name+".")
		}
	}
}

// octal reads permissions. A number would be read as decimal, so it must be a text.
func (s *section) octal(name string) string {
	attr := s.attr(name)
	if attr == nil {
		return ""
	}
	if lit, ok := attr.Expr.(*hclsyntax.LiteralValueExpr); ok && lit.Val.Type() == cty.Number {
		s.must(attr.Expr.Range(), name, "a text", "a number", "Write it in quotation marks: \"0700\".")
		return ""
	}
	return s.text(name, "", mode)
}
