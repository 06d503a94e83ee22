package sdk

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/sdk/internal/wire"
)

// watchLifeline ends the process at once when the host is gone: then the descriptor that
// the host holds the other end of is at its end. Without the variable there is none. A
// descriptor that can't tell of a host's end is an error.
func watchLifeline() error {
	text, ok := os.LookupEnv(wire.LifelineEnv)
	if !ok {
		return nil
	}
	os.Unsetenv(wire.LifelineEnv) // it is not for what this process starts
	fd, err := strconv.Atoi(text)
	if err != nil || fd <= 2 {
		return fmt.Errorf("%s is %q, which is no descriptor; the host sets it to 3 or more", wire.LifelineEnv, text)
	}
	if err := readableEnd(fd); err != nil {
		return fmt.Errorf("%s is %d: %w; the host leaves the reading end of a pipe open there", wire.LifelineEnv, fd, err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "lifeline")
	go func() {
		io.Copy(io.Discard, f) // until the end of file
		os.Exit(0)
	}()
	return nil
}

// readableEnd refuses a descriptor that is not one end of a pipe or a socket, open for
// reading. It takes nothing from it.
func readableEnd(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("fstat: %w", err)
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFIFO && kind != unix.S_IFSOCK {
		return fmt.Errorf("it is neither a pipe nor a socket (mode %#o)", st.Mode)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return fmt.Errorf("fcntl: %w", err)
	}
	if flags&unix.O_ACCMODE == unix.O_WRONLY {
		return fmt.Errorf("it is open for writing alone")
	}
	return nil
}
