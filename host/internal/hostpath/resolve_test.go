package hostpath_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-dev/berth/host/internal/hostpath"
	"github.com/berth-dev/berth/sdk/provider"
)

func TestResolve(t *testing.T) {
	dir := open(t)
	tree(t, dir, "real/", "real/sub/", "file", "link -> real", "abs -> $/real/sub", "chain -> link/sub", "dangling -> nowhere", "loop -> loop")
	for given, want := range map[string]string{
		"real":               "real",
		"link":               "real",
		"link/sub":           "real/sub",
		"abs":                "real/sub",
		"chain":              "real/sub",
		"link/new":           "real/new",
		"abs/new/deeper":     "real/sub/new/deeper",
		"real/./new//deeper": "real/new/deeper",
		"new/a/../b":         "new/b",
		"file":               "file",
	} {
		got, err := hostpath.Resolve(dir + "/" + given)
		if err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %q, %v; want %q", given, got, err, want)
		}
	}
	for given, words := range map[string]string{
		"dangling":     "goes through the symlink " + dir + "/dangling, which leads nowhere",
		"dangling/new": "which leads nowhere",
		"loop/new":     "can't be resolved",
		"file/new":     "not a directory",
	} {
		_, err := hostpath.Resolve(dir + "/" + given)
		refused(t, err, provider.InvalidArgument, words)
	}
	if got, err := hostpath.Resolve("/"); err != nil || got != "/" {
		t.Errorf("/: %q, %v", got, err)
	}
}

func TestInRoots(t *testing.T) {
	dir := open(t)
	tree(t, dir, "volumes/", "volumes/a/", "volumes/file", "volumes2/", "elsewhere/", "elsewhere/secret",
		"volumes/in -> a", "volumes/out -> $/elsewhere", "volumes/dangling -> $/elsewhere/missing", "elsewhere/in -> $/volumes/a", "root -> volumes")
	roots := []string{filepath.Join(dir, "missing"), filepath.Join(dir, "root")} // one is a symlink itself
	for given, want := range map[string]string{
		"volumes/a":                 "volumes/a",
		"volumes":                   "volumes", // a root is inside itself
		"root/a":                    "volumes/a",
		"volumes/in":                "volumes/a",
		"elsewhere/in":              "volumes/a", // a symlink that ends inside is accepted
		"volumes/a/../a/":           "volumes/a",
		"volumes/../volumes/a":      "volumes/a",
		"elsewhere/../volumes/in/.": "volumes/a",
	} {
		got, err := hostpath.InRoots(dir+"/"+given, roots)
		if err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %q, %v; want %q", given, got, err, want)
		}
	}
	allowed := strings.Join(roots, ", ")
	roots = append(roots, filepath.Join(dir, "volumes"))
	for given, words := range map[string]string{
		"elsewhere":           "is outside of volume_roots; it must be a directory inside " + allowed,
		"volumes2":            "is outside of volume_roots",
		"volumes/../volumes2": "is outside of volume_roots",
		"volumes/..":          "is outside of volume_roots",
		"volumes/in/../..":    "is outside of volume_roots",
		"volumes/out":         "is " + dir + "/elsewhere, which is outside of volume_roots",
		"volumes/out/secret":  "which is outside of volume_roots",
		"volumes/missing":     "can't be resolved: no such file or directory",
		"volumes/dangling":    "can't be resolved: no such file or directory",
		"volumes/file":        "is no directory",
		"volumes/a\x00b":      "volume: ",
	} {
		_, err := hostpath.InRoots(dir+"/"+given, roots)
		refused(t, err, provider.InvalidArgument, "volume: ", words)
	}

	// What is outside is not told to be there or not.
	_, there := hostpath.InRoots(dir+"/elsewhere/secret", roots)
	_, missing := hostpath.InRoots(dir+"/elsewhere/nothing", roots)
	if strings.ReplaceAll(there.Error(), "secret", "nothing") != missing.Error() {
		t.Errorf("told apart: %v; %v", there, missing)
	}

	_, err := hostpath.InRoots("volumes/a", roots)
	refused(t, err, provider.InvalidArgument, `"volumes/a" is not an absolute path`)
	_, err = hostpath.InRoots(dir+"/volumes/a", nil)
	refused(t, err, provider.InvalidArgument, "the configuration has no volume_roots; set them, or leave the volume out")
	if got, err := hostpath.InRoots(dir, []string{"/"}); err != nil || got != dir {
		t.Errorf("everything is inside /: %q, %v", got, err)
	}
}

func TestConfined(t *testing.T) {
	dir := open(t)
	tree(t, dir, "chats/", "chats/one/", "elsewhere/", "chats/in -> one", "chats/out -> $/elsewhere", "chats/up -> ..", "chats/self -> .", "link -> chats")
	for given, want := range map[string]string{
		"chats/one": "chats/one", "chats/in": "chats/one", "link/one": "chats/one", "chats/new": "chats/new", "link/new/deeper": "chats/new/deeper",
	} {
		for _, confine := range []string{"chats", "link", "chats/"} {
			got, err := hostpath.Confined(dir+"/"+given, dir+"/"+confine)
			if err != nil || got != filepath.Join(dir, want) {
				t.Errorf("%s in %s: %q, %v; want %q", given, confine, got, err, want)
			}
		}
	}
	for _, given := range []string{"chats", "chats/", "chats/self", "chats/up", "chats/out", "chats/out/new", "chats/../elsewhere", "chats/..", "chatsy", "elsewhere"} {
		_, err := hostpath.Confined(dir+"/"+given, dir+"/chats")
		refused(t, err, provider.InvalidArgument, "which is not below "+dir+"/chats")
	}
}
