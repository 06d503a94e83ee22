package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// keep puts a member of the object on the last command's stdout into a variable:
//
//	keep ID session_id
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep variable member")
	}
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	text, ok := object[args[1]].(string)
	if !ok {
		ts.Fatalf("%s is no string: %v", args[1], object[args[1]])
	}
	ts.Setenv(args[0], text)
}

// same compares the last command's stdout with a member of what the API answers to a POST
// of JSON, byte by byte:
//
//	same state/berth.sock SessionService/GetSession {"session_id":"$ID"} session
func same(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: same socket method body member")
	}
	api := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", ts.MkAbs(args[0]))
		},
	}}
	res, err := api.Post("http://berth/berth.control.v1."+args[1], "application/json", bytes.NewReader([]byte(args[2])))
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	var answer map[string]json.RawMessage
	ts.Check(json.Unmarshal(body, &answer))
	if got := strings.TrimSuffix(ts.ReadFile("stdout"), "\n"); got != string(answer[args[3]]) {
		ts.Fatalf("the command shows\n%s\nand the API\n%s", got, body)
	}
}

// await waits until a file matches an expression:
//
//	await events 'running'
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await file expression")
	}
	wanted, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var text []byte
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		if text, err = os.ReadFile(ts.MkAbs(args[0])); err == nil && wanted.Match(text) {
			return
		}
	}
	ts.Fatalf("%s never matched %s: %s", args[0], args[1], text)
}

// to is a command of its own for the scripts: it becomes a command whose stdout goes into
// a file, and its stderr into errors.<file>, so that await can read along:
//
//	exec to lines berth watch &watching&
func to() {
	path, err := exec.LookPath(os.Args[2])
	if err == nil {
		err = redirect(os.Args[1], 1)
	}
	if err == nil {
		err = redirect("errors."+os.Args[1], 2)
	}
	if err == nil {
		err = syscall.Exec(path, os.Args[2:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "to:", err)
	os.Exit(125)
}

func redirect(file string, fd int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return unix.Dup2(int(f.Fd()), fd)
}
