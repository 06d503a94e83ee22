package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/berth-dev/berth/sdk"
	"github.com/berth-dev/berth/sdk/providertest/mem"
)

// The scripts run this test's own binary as berth and as a provider that lies beside it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"berth": func() {
			os.Exit(Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
		"berth-provider-mock": func() { sdk.Serve(mem.Main()) },
		"to":                  to,
		"on":                  on,
	})
}

// Each script in testdata reads like a terminal. WORK is kept short: sockets live below it.
func TestScripts(t *testing.T) {
	root, err := os.MkdirTemp("", "bcli-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		WorkdirRoot:   root,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Condition: func(what string) (bool, error) {
			switch what {
			case "root":
				return os.Geteuid() == 0, nil
			case "mounts":
				return canMount(), nil
			}
			return false, fmt.Errorf("unknown condition %q", what)
		},
		Setup: func(env *testscript.Env) error {
			address, err := freeAddress()
			env.Setenv("ADDRESS", address)
			env.Setenv("CHAT", "6f1c1f9e-7d2b-4a57-9a55-0c6a3c1d2e4f")
			env.Setenv("OTHER", "0b7e9f3c-55d1-4c8e-9d0a-1f2e3d4c5b6a")
			env.Setenv("HOME", env.WorkDir)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"page":    page,
			"term":    sigterm,
			"keep":    keep,
			"same":    same,
			"await":   await,
			"becomes": becomes,
		},
	})
}

// freeAddress is one that nobody listens on just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// exits runs a command whose exit status has to be the given one:
//
//	exits 2 berth validate
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// becomes runs a command again and again, until what it prints matches an expression:
//
//	becomes '^would reap ' berth reap --expired --dry-run
func becomes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: becomes expression command [args...]")
	}
	wanted, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if wanted.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s never printed %s", strings.Join(args[1:], " "), args[0])
}

// page waits until a page of the host answers with a status and has all of the words:
//
//	page 200 /readyz '"ready":true'
func page(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: page status path [words...]")
	}
	web := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	last := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		res, err := web.Get("http://" + ts.Getenv("ADDRESS") + args[1])
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		ts.Check(err)
		last = fmt.Sprintf("%d %s", res.StatusCode, body)
		ok := strconv.Itoa(res.StatusCode) == args[0]
		for _, words := range args[2:] {
			ok = ok && strings.Contains(string(body), words)
		}
		if ok {
			return
		}
	}
	ts.Fatalf("%s does not answer as it should; last: %s", args[1], last)
}

// sigterm sends SIGTERM to the host that holds a state directory:
//
//	term state
func sigterm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: term state_dir")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0] + "/lock")))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
}
