package mem

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// needsProcess names a setting that only the mock binary may have; "" for none.
func (s providerSettings) needsProcess() string {
	switch {
	case s.StateFile != "":
		return "state_file"
	case s.IgnoreSIGTERM:
		return "ignore_sigterm"
	case s.HoldStderr != 0:
		return "hold_stderr"
	case s.LogLines != 0:
		return "log_lines"
	}
	for _, f := range s.Faults {
		if f.Exit != 0 {
			return "fault"
		}
	}
	return ""
}

// disturbProcess makes this process a nuisance to its host.
func (s providerSettings) disturbProcess() error {
	if s.IgnoreSIGTERM {
		signal.Ignore(syscall.SIGTERM)
	}
	if s.HoldStderr == 0 && s.LogLines == 0 {
		return nil
	}
	fd, err := syscall.Dup(2) // the process's own: go-plugin replaces os.Stderr
	if err != nil {
		return err
	}
	stderr := os.NewFile(uintptr(fd), "stderr")
	defer stderr.Close() //nolint:errcheck // a copy
	if s.HoldStderr > 0 {
		sleep := exec.Command("sleep", strconv.FormatFloat(s.HoldStderr.value().Seconds(), 'f', 3, 64))
		sleep.Stderr = stderr
		if err := sleep.Start(); err != nil {
			return err
		}
		go sleep.Wait() //nolint:errcheck // it lives as long as the process, and only wants reaping
	}
	for i := range s.LogLines {
		if _, err := fmt.Fprintf(stderr, "noise, line %d of %d\n", i+1, s.LogLines); err != nil {
			return err
		}
	}
	return nil
}
