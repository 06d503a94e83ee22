package cli

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/berth-dev/berth/host"
)

// Each code of the host, and what is none of its errors.
func TestReport(t *testing.T) {
	own := func(code host.Code) error {
		return failed("create", &host.Error{Code: code, Op: "create", ChatID: "c", SessionID: "s", Message: "why"})
	}
	ids := `","message":"create: why","chat_id":"c","session_id":"s"}}` + "\n"
	for _, c := range []struct {
		err    error
		status int
		stderr string
		stdout string
	}{
		{nil, 0, "", ""},
		{&exitError{exitFailed, nil}, 1, "", ""},
		{own(host.CodeSandboxStartFailed), 1, "berth: create: why (sandbox_start_failed)\n", `{"error":{"code":"sandbox_start_failed` + ids},
		{own(host.CodeSandboxStopFailed), 1, "berth: create: why (sandbox_stop_failed)\n", `{"error":{"code":"sandbox_stop_failed` + ids},
		{own(host.CodeSandboxListFailed), 1, "berth: create: why (sandbox_list_failed)\n", `{"error":{"code":"sandbox_list_failed` + ids},
		{own(host.CodeNotFound), 3, "berth: create: why (not_found)\n", `{"error":{"code":"not_found` + ids},
		{own(host.CodeConflict), 1, "berth: create: why (conflict)\n", `{"error":{"code":"conflict` + ids},
		{own(host.CodeResourceExhausted), 1, "berth: create: why (resource_exhausted)\n", `{"error":{"code":"resource_exhausted` + ids},
		{own(host.CodeUnavailable), 1, "berth: create: why (unavailable)\n", `{"error":{"code":"unavailable` + ids},
		{own(host.CodeInvalidArgument), 1, "berth: create: why (invalid_argument)\n", `{"error":{"code":"invalid_argument` + ids},
		{own(host.CodeUnsupported), 1, "berth: create: why (unsupported)\n", `{"error":{"code":"unsupported` + ids},
		{own(host.CodeInternal), 1, "berth: create: why (internal)\n", `{"error":{"code":"internal` + ids},
		{failed("list", errors.New("why")), 1, "berth: list: why\n", `{"error":{"code":"internal","message":"list: why","chat_id":"","session_id":""}}` + "\n"},
		{usage(errors.New("get: <why>")), 2, "berth: get: <why>\n", `{"error":{"code":"invalid_argument","message":"get: <why>","chat_id":"","session_id":""}}` + "\n"},
		{errors.New("unknown flag"), 2, "berth: unknown flag\n", `{"error":{"code":"invalid_argument","message":"unknown flag","chat_id":"","session_id":""}}` + "\n"},
		{failed("create", &host.Error{Code: host.CodeSandboxStartFailed, Op: "create", Err: fmt.Errorf("it printed:\n\x1b[2Jboom\t!\r")}), 1,
			"berth: create: it printed (sandbox_start_failed):\n\ufffd[2Jboom\t!\ufffd\n",
			`{"error":{"code":"sandbox_start_failed","message":"create: it printed:\n\u001b[2Jboom\t!\r","chat_id":"","session_id":""}}` + "\n"},
	} {
		for _, asJSON := range []bool{false, true} {
			var out, errw bytes.Buffer
			a := &app{out: &out, err: &errw}
			status := a.report(c.err, asJSON)
			want := ""
			if asJSON {
				want = c.stdout
			}
			if status != c.status || errw.String() != c.stderr || out.String() != want {
				t.Errorf("%v, JSON %v: status %d, stderr %q, stdout %q; want %d, %q, %q", c.err, asJSON, status, errw.String(), out.String(), c.status, c.stderr, want)
			}
		}
	}
}

func TestAsksForJSON(t *testing.T) {
	for _, c := range []struct {
		args []string
		want bool
	}{
		{nil, false},
		{[]string{"list"}, false},
		{[]string{"list", "-o", "json"}, true},
		{[]string{"-ojson", "list"}, true},
		{[]string{"list", "--output=json", "--nope"}, true},
		{[]string{"list", "--nope", "x", "--output", "json"}, true},
		{[]string{"list", "-o", "json", "-o", "table"}, false},
		{[]string{"list", "--", "-o", "json"}, false},
		{[]string{"list", "-o"}, false},
	} {
		if got := asksForJSON(c.args); got != c.want {
			t.Errorf("%q: %v, want %v", c.args, got, c.want)
		}
	}
}
