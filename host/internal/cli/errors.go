package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/berth-dev/berth/host"
)

// The exit statuses.
const (
	exitDone     = 0
	exitFailed   = 1 // every error of the host
	exitUsage    = 2 // a command line or a configuration that can't be read
	exitNotFound = 3
)

// exitError carries an exit status. Its text, when there is one, is for stderr.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(err error) error { return &exitError{exitUsage, err} }

// failed is what a verb that asked the host returns for its error: status 3 for
// not_found, else 1. Nil is nil.
func failed(verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		err = &host.Error{Code: host.CodeUnavailable, Op: verb, Message: "interrupted before the host had answered"}
	case !strings.HasPrefix(err.Error(), verb+": "):
		err = fmt.Errorf("%s: %w", verb, err)
	}
	if errors.Is(err, host.CodeNotFound) {
		return &exitError{exitNotFound, err}
	}
	return &exitError{exitFailed, err}
}

// refused is invalid_argument for what only the command line can tell apart.
func refused(verb, format string, args ...any) error {
	return failed(verb, &host.Error{Code: host.CodeInvalidArgument, Op: verb, Message: fmt.Sprintf(format, args...)})
}

// errorJSON is an error as `-o json` shows it.
type errorJSON struct {
	Code      host.Code `json:"code"`
	Message   string    `json:"message"`
	ChatID    string    `json:"chat_id"`
	SessionID string    `json:"session_id"`
}

// report shows the error that ended a command and returns the exit status.
func (a *app) report(err error, asJSON bool) int {
	if err == nil {
		return exitDone
	}
	status := exitUsage // cobra's own errors are about the command line
	var exit *exitError
	if errors.As(err, &exit) {
		status = exit.status
	}
	text := err.Error()
	if text == "" {
		return status
	}
	shown := errorJSON{Message: text}
	var own *host.Error
	switch {
	case errors.As(err, &own):
		shown.Code, shown.ChatID, shown.SessionID = own.Code, own.ChatID, own.SessionID
		fmt.Fprintf(a.err, "berth: %s\n", printable(withCode(text, own.Code)))
	default:
		shown.Code = host.CodeInternal
		if status == exitUsage {
			shown.Code = host.CodeInvalidArgument
		}
		fmt.Fprintf(a.err, "berth: %s\n", printable(text))
	}
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.Encode(map[string]errorJSON{"error": shown})
	}
	return status
}

// withCode puts the code behind the first line; a sandbox's last words may follow.
func withCode(text string, code host.Code) string {
	first, rest, more := strings.Cut(text, "\n")
	if code != "" {
		line, announced := strings.CutSuffix(first, ":")
		first = line + " (" + string(code) + ")"
		if announced {
			first += ":"
		}
	}
	if more {
		return first + "\n" + rest
	}
	return first
}

// printable is what somebody else wrote, such as a sandbox, without what would steer the
// terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// asksForJSON tells whether a command line wants JSON, also when it can't be read.
func asksForJSON(args []string) bool {
	c := &cobra.Command{FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true}}
	output := c.Flags().StringP("output", "o", "", "")
	c.ParseFlags(args)
	return *output == "json"
}
