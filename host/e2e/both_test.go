package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// notOnEach are the tests that do not run on each backend, with the reason.
var notOnEach = map[string]string{
	"TestChaos": "it takes long, on the provider that -chaos.provider names",
	"TestPromise1_DaemonRestartedWithoutLiveRestore": privateDaemon,
	"TestPromise2_UnreadableGoesAtItsLeasesDeadline": privateDaemon + ", whose files are changed",
	"TestPromise3_ExtensionSurvivesKillOfTheDaemon":  privateDaemon,
	"TestPromise6_AdoptsTheUnowned":                  "containers of an older adapter; nobody else makes sandboxes of processes",
	"TestMissingContainerIsNoError":                  "a hand in what plugin and daemon say to each other",
	"TestPromise8_WhatTheDaemonCantEnforceIsTold":    "the same",
	"TestReadmeFromNothing":                          "the README's walk makes an image and a network",
	"TestReadmeWalkCurl":                             "the README's walk is of the API, and its host needs some provider",

	"TestPromise2_UnreadableRecordGoesAtItsLeasesDeadline": "as the one with a private daemon, of the process provider",
	"TestPromise3_ProcessProvider":                         "the shortest way through berth serve with the process provider alone",

	"TestFigures":                           mocks,
	"TestPromise2_FullDisk":                 mocks,
	"TestPromise2_StartOnAFullDisk":         mocks,
	"TestPromise7_BadPluginsHarmNobodyElse": mocks,
	"TestPromise7_LiesAreNotBelieved":       mocks,
	"TestPromise7_MendedPluginIsTaken":      mocks,
	"TestPromise7_NastyAnswers":             mocks,
	"TestPromise7_NastySchemaChanges":       mocks,
	"TestPromise7_RequiredPluginEndsServe":  mocks,

	"TestPromise2_ExampleProvider":        example,
	"TestPromise8_ExampleProviderRefuses": example,
	"TestSdkReadmeConfiguration":          example,

	"TestCrashPointsAreListed":            noSandbox,
	"TestCrashPointsAreNotShipped":        noSandbox,
	"TestEachTestIsOnEach":                noSandbox,
	"TestMakeTestTellsOfSkips":            noSandbox,
	"TestPromise8_ReadOnlyStateDirectory": noSandbox,
	"TestReadmeSettings":                  noSandbox,
	"TestShippedConfiguration":            noSandbox,
}

const (
	privateDaemon = "a private Docker daemon, which is killed or has nothing of ours"
	mocks         = "plugins that misbehave by their settings"
	example       = "the provider of examples/provider"
	noSandbox     = "no sandbox is made"
)

// Each test runs on each backend, or the table says why not.
func TestEachTestIsOnEach(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
				continue
			}
			name := f.Name.Name
			found[name] = true
			reason := notOnEach[name]
			switch on := callsOnEach(f); {
			case on && reason != "":
				t.Errorf("%s runs on each backend, and the table says that it does not: %s", name, reason)
			case !on && reason == "":
				t.Errorf("%s does not run on each backend, and the table does not say why", name)
			}
		}
	}
	for name := range notOnEach {
		if !found[name] {
			t.Errorf("%s is in the table, and there is no such test", name)
		}
	}
}

// callsOnEach reports whether a test is nothing but a call of onEach.
func callsOnEach(f *ast.FuncDecl) bool {
	if len(f.Body.List) != 1 {
		return false
	}
	s, ok := f.Body.List[0].(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := s.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	name, ok := call.Fun.(*ast.Ident)
	return ok && name.Name == "onEach"
}
