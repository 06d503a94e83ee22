package main

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// family are the processes of the room. Its first process is given every orphan in it and
// has to reap them, so that one goroutine waits for all: nobody else may wait for a child.
type family struct {
	mu      sync.Mutex // held over a start, so that no end is seen before its beginning
	known   map[int]*member
	reaping bool
}

// member is a process that was started by the first one.
type member struct {
	pid   int
	ended chan syscall.WaitStatus // gets one
}

func newFamily() *family { return &family{known: make(map[int]*member)} }

// start starts a program with these standard files; no stdin is an empty one.
func (f *family) start(args []string, stdin, stdout, stderr *os.File) (*member, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, err
	}
	if stdin == nil {
		if stdin, err = os.Open(os.DevNull); err != nil {
			return nil, err
		}
		defer stdin.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	process, err := os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{stdin, stdout, stderr}})
	if err != nil {
		return nil, err
	}
	m := &member{pid: process.Pid, ended: make(chan syscall.WaitStatus, 1)}
	f.known[m.pid] = m
	if !f.reaping {
		f.reaping = true
		go f.reap() // to the end of this process, whose end is that of all others here
	}
	return m, process.Release()
}

// reap waits for children until there is none.
func (f *family) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return
		}
		f.mu.Lock()
		m := f.known[pid]
		delete(f.known, pid)
		f.mu.Unlock()
		if m != nil {
			m.ended <- status
		}
	}
}
