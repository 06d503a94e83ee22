package e2e

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// crashPoint is a place between a durable write and its effect where a test can make a
// process crash; see package crash.
type crashPoint struct {
	name string
	what string // has just happened, or is about to
}

// crashPoints are all that there are in the host, in the Docker plugin and in that of the
// process provider. Its shims have none: from its order on a shim is the sandbox.
var crashPoints = []crashPoint{
	{"host.lease.writing", "a record has changed, and is not on disk"},
	{"host.lease.written", "it is on disk, and nobody was told"},
	{"host.commit.writing", "a group of writes waits for its transaction"},
	{"host.commit.written", "the transaction is on disk, and none of its writers knows"},
	{"host.create.planned", "directories are made, and there is no lease"},
	{"host.create.leased", "the lease is on disk, and the provider was not asked"},
	{"host.create.answered", "the provider has made the sandbox, and its id is nowhere"},
	{"host.create.ready", "the agent answers, and the lease says creating"},
	{"host.create.acknowledging", "the lease says running, and the caller waits"},
	{"host.create.failing", "the failure is on disk, and the sandbox may be there"},
	{"host.extend.acknowledging", "the new deadline is on disk, and the caller waits"},
	{"host.ensure.confirmed", "the sandbox runs, and its deadline was not pushed"},
	{"host.ensure.acknowledging", "its deadline was pushed, and the caller waits"},
	{"host.stop.intended", "the intent to stop is on disk, and nothing was done"},
	{"host.stop.sending", "a sandbox is about to be stopped, by a caller or at its deadline"},
	{"host.stop.answered", "the provider has stopped it, and how it ended is nowhere"},
	{"host.stop.stopped", "it is stopped, and the lease says stopping"},
	{"host.stop.acknowledging", "the lease says stopped, and the caller waits"},
	{"host.delete.intended", "the intent to delete is on disk, and nothing was done"},
	{"host.delete.sending", "a sandbox is about to be removed, for whatever reason"},
	{"host.delete.answered", "the provider has removed it, and the lease says deleting at most"},
	{"host.delete.acknowledging", "the session has ended, and the caller waits"},
	{"host.expire.due", "the deadline has passed, and nothing was done"},
	{"host.death.noticed", "a sandbox has ended by itself, and the lease says running"},
	{"host.end.writing", "the sandbox is gone, and there is no terminal record"},
	{"host.end.written", "the terminal record is on disk, and no watcher was told"},
	{"host.prune.forgotten", "a terminal record has gone from the disk, and is shown"},
	{"host.recover.found", "the sandbox of an interrupted create runs, and the lease says creating"},
	{"host.recover.failing", "an interrupted create has failed on disk, and its sandbox may be there"},
	{"host.sweep.listed", "a complete list is known, and nothing was concluded"},
	{"host.orphan.deleting", "an orphan is about to be removed"},
	{"host.adopt.writing", "a sandbox is about to be adopted, and there is no lease"},
	{"host.adopt.written", "its lease is on disk, and nobody was told"},
	{"docker.create.naming", "the request is checked, and the name is free"},
	{"docker.create.made", "the name is taken by a container that was not started"},
	{"docker.create.started", "the container runs on its network, and was not looked at"},
	{"docker.create.observed", "its address is known, and the host is not"},
	{"docker.undo.removing", "a create has failed, and its container is there"},
	{"docker.conflict.removing", "the name's container does not run, and is about to be made anew"},
	{"docker.stop.sending", "a container is about to be stopped"},
	{"docker.stop.stopped", "it has ended, and the host does not know"},
	{"docker.delete.removing", "a container is about to be removed"},
	{"docker.delete.removed", "it is gone, and the host does not know"},
	{"process.create.planned", "the request is checked, and nothing is there"},
	{"process.create.recorded", "the directory is complete, and has no name"},
	{"process.create.named", "the name is taken by a sandbox without a shim"},
	{"process.create.grouped", "its cgroups are made, and its shim has no order"},
	{"process.create.started", "the command runs, and was not looked at"},
	{"process.create.observed", "it was looked at, and the host does not know"},
	{"process.undo.removing", "a create has failed, and its sandbox is there"},
	{"process.conflict.removing", "the name's sandbox does not run, and is about to be made anew"},
	{"process.stop.sending", "a sandbox is about to be stopped"},
	{"process.stop.stopped", "it has ended, and the host does not know"},
	{"process.delete.removing", "a sandbox is about to be removed"},
	{"process.remove.killed", "its processes have ended, its cgroups and its directory are there"},
	{"process.remove.ungrouped", "its directory alone is there"},
	{"process.remove.unnamed", "the directory has lost its name, and is there"},
	{"process.delete.removed", "it is gone, and the host does not know"},
	{"process.sweep.removing", "what is left half made or half removed is about to go"},
}

// Each name in the code is in the table, and stands at one place; each name of the table is
// in the code.
func TestCrashPointsAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, p := range crashPoints {
		if listed[p.name] || p.what == "" {
			t.Errorf("%s is listed twice, or says nothing", p.name)
		}
		listed[p.name] = true
	}
	found := map[string]token.Position{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, call := range pointsOf(f) {
			at := files.Position(call.Pos())
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%v: the name of a point is written out, so that it can be found", at)
				continue
			}
			name, _ := strconv.Unquote(literal.Value)
			if !listed[name] {
				t.Errorf("%v: %q is not in the table", at, name)
			}
			if other, twice := found[name]; twice {
				t.Errorf("%v: %q is at %v too", at, name, other)
			}
			found[name] = at
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range listed {
		if _, ok := found[name]; !ok {
			t.Errorf("%q is in the table, and nowhere in the code", name)
		}
	}
}

// pointsOf are the calls of crash.Point in a file.
func pointsOf(f *ast.File) (calls []*ast.CallExpr) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Point" {
			if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "crash" {
				calls = append(calls, call)
			}
		}
		return true
	})
	return calls
}

// What is shipped bears no trace of the points; what is built with the tag does.
func TestCrashPointsAreNotShipped(t *testing.T) {
	t.Parallel()
	s := bareSite(t)
	if err := build(t.Context(), s.path("berth"), []string{"GOFLAGS=-tags=crashpoints"}, "./host/cmd/berth"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		filepath.Join(world.bin, "berth"):                  false,
		filepath.Join(world.bin, "berth-provider-docker"):  false,
		filepath.Join(world.bin, "berth-provider-process"): false,
		s.path("berth"): true,
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		has := bytes.Contains(text, []byte("BERTH_CRASH"))
		for _, p := range crashPoints {
			who, _, _ := strings.Cut(p.name, ".")
			of := who == "host" && strings.HasSuffix(path, "/berth") || strings.HasSuffix(path, "berth-provider-"+who)
			if of && bytes.Contains(text, []byte(p.name)) != want {
				t.Errorf("%s: point %s is there: %v", path, p.name, !want)
			}
		}
		if has != want {
			t.Errorf("%s knows BERTH_CRASH: %v, want %v", path, has, want)
		}
	}
}
