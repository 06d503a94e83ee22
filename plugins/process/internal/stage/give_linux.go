package stage

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Between the stages values travel on stream sockets: the length, four bytes, then the value
// in JSON. Descriptors come with the first bytes.

// maxRights is how many descriptors the kernel takes with one message; see unix(7).
const maxRights = 253

// Give sends a value and descriptors, which stay open here, over a shim's socket.
func Give(socket *os.File, value any, pass ...int) error {
	return give(value, pass, func(b, rights []byte) (n int, err error) {
		err = writing(socket, func(fd int) (err error) {
			n, err = unix.SendmsgN(fd, b, rights, nil, unix.MSG_NOSIGNAL)
			return err
		})
		return n, err
	})
}

// giveBlocking is Give for a descriptor whose calls block.
func giveBlocking(fd int, value any, pass []int) error {
	return give(value, pass, func(b, rights []byte) (int, error) {
		for {
			n, err := unix.SendmsgN(fd, b, rights, nil, unix.MSG_NOSIGNAL)
			if !errors.Is(err, unix.EINTR) {
				return n, err
			}
		}
	})
}

func give(value any, pass []int, send func(b, rights []byte) (int, error)) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	for len(b) > 0 {
		size, now := len(b), pass[:min(len(pass), maxRights)]
		var rights []byte
		if len(now) > 0 {
			rights = unix.UnixRights(now...)
		}
		if pass = pass[len(now):]; len(pass) > 0 {
			size = 1 // more descriptors want bytes to come with
		}
		n, err := send(b[:size], rights)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// take receives by blocking calls what Give sends, and leaves the socket open. io.EOF: the
// other side has closed it, and sent nothing.
func take(fd int, to any) (fds []int, err error) {
	defer func() {
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
	}()
	oob := make([]byte, unix.CmsgSpace(maxRights*4))
	read := func(b []byte) error {
		for at := 0; at < len(b); {
			n, m, flags, _, err := unix.Recvmsg(fd, b[at:], oob, unix.MSG_CMSG_CLOEXEC)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case err != nil:
				return err
			case flags&unix.MSG_CTRUNC != 0:
				return errors.New("too many files are open")
			case n == 0 && at == 0:
				return io.EOF
			case n == 0:
				return io.ErrUnexpectedEOF
			}
			at += n
			messages, err := unix.ParseSocketControlMessage(oob[:m])
			if err != nil {
				return err
			}
			for i := range messages {
				more, err := unix.ParseUnixRights(&messages[i])
				if err != nil {
					return err
				}
				fds = append(fds, more...)
			}
		}
		return nil
	}
	var head [4]byte
	if err := read(head[:]); err != nil {
		return fds, err
	}
	text := make([]byte, binary.BigEndian.Uint32(head[:]))
	if err := read(text); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fds, err
	}
	return fds, json.Unmarshal(text, to)
}
