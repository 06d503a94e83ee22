package doors

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestBehind(t *testing.T) {
	dir, err := os.MkdirTemp("", "doors") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	own, linked, link := in("own/docker.sock"), in("innocent.sock"), in("innocent")
	if err := os.MkdirAll(in("own"), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", own)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("DOCKER_HOST", "unix://"+own)
	if err := os.Link(own, linked); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/var/run", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"/":                                true,
		"/var/run":                         true,
		"/run":                             true,
		"/run/docker.sock":                 true,
		"/run/containerd":                  true,
		"/run/docker":                      true,
		"/run/user":                        true,
		"/run/user/1000":                   true,
		"/run/user/1000/other":             false,
		"/run/user/1000/docker/containerd": true,
		"/run/user/1000/containerd":        true,
		"/run/dockers":                     false,
		dir:                                true, // what DOCKER_HOST names is below it
		own:                                true,
		linked:                             true,
		link:                               true,
		in("missing/below"):                false,
		"/usr":                             false,
	} {
		if got := Behind(path); got != "" != want {
			t.Errorf("%s: behind it is %q", path, got)
		}
	}
}
