//go:build crashpoints && unix

package crash

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/berth-dev/berth/sdk/provider"
)

// armed are the points that this process has seen a file for.
var armed struct {
	sync.Mutex
	points map[string]*arming
}

// arming is one file that was seen.
type arming struct {
	file os.FileInfo
	hits int
}

// Point does what a test has asked for at this place. It returns an error of class
// Unavailable when that is to fail, and nil otherwise.
func Point(name string) error {
	dir := os.Getenv("BERTH_CRASH")
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	var what string
	var at int
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	if _, err := fmt.Sscan(string(text), &what, &at); err != nil || hit(name, info) < at {
		return nil
	}
	if os.Rename(path, path+".done") != nil {
		return nil // another one was quicker
	}
	if err := os.WriteFile(path+".done", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return nil
	}
	switch what {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return nil
	}
	return &provider.Error{Class: provider.Unavailable, Message: "crash point " + name, Err: io.ErrUnexpectedEOF}
}

// hit counts a hit of a point under one file.
func hit(name string, file os.FileInfo) int {
	armed.Lock()
	defer armed.Unlock()
	a := armed.points[name]
	if a == nil || !os.SameFile(a.file, file) || !a.file.ModTime().Equal(file.ModTime()) {
		if armed.points == nil {
			armed.points = map[string]*arming{}
		}
		a = &arming{file: file}
		armed.points[name] = a
	}
	a.hits++
	return a.hits
}
