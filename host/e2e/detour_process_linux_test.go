package e2e

import (
	"context"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/berth-dev/berth/plugins/process"
)

// disks are the file systems that the state directory of a place may be on: the one with the
// sandboxes, and another, as when a disk was not mounted, or the wrong one.
type disks struct{ *processes }

func disksOfProcesses(s *site) detour { return &disks{s.on.(*processes)} }

func (d *disks) line() string      { return "" }
func (d *disks) home() string      { return filepath.Dir(d.at) }
func (d *disks) elsewhere() string { return d.s.path("elsewhere") }
func (d *disks) cause() string     { return "is not there, and nor is its parent" }

// moved lets the test look where the sandboxes' records are now.
func (d *disks) moved(disk string) {
	d.s.t.Helper()
	d.dir = filepath.Join(disk, "process")
	d.lookAnew()
}

func (d *disks) cut() {
	d.s.t.Helper()
	d.must(os.Rename(d.home(), d.elsewhere()))
	d.moved(d.elsewhere())
}

// spare makes the other disk with a state directory on it, as a plugin leaves it.
func (d *disks) spare() {
	d.s.t.Helper()
	d.must(os.Mkdir(d.elsewhere(), 0o755))
	_ = d.identity(d.elsewhere())
}

func (d *disks) another() {
	d.s.t.Helper()
	d.must(unix.Renameat2(unix.AT_FDCWD, d.home(), unix.AT_FDCWD, d.elsewhere(), unix.RENAME_EXCHANGE))
	d.moved(d.elsewhere())
}

func (d *disks) back() {
	d.s.t.Helper()
	err := unix.Renameat2(unix.AT_FDCWD, d.home(), unix.AT_FDCWD, d.elsewhere(), unix.RENAME_EXCHANGE)
	if err == unix.ENOENT { // it was cut
		err = os.Rename(d.elsewhere(), d.home())
	}
	d.must(err)
	d.moved(d.home())
}

func (d *disks) identities() (own, spare string) {
	d.s.t.Helper()
	if filepath.Dir(d.dir) == d.home() {
		return d.identity(d.home()), d.identity(d.elsewhere())
	}
	return d.identity(d.elsewhere()), d.identity(d.home())
}

// identity is what the provider calls the state directory of a disk.
func (d *disks) identity(disk string) string {
	d.s.t.Helper()
	p, err := process.New(process.Config{StateDir: filepath.Join(disk, "process")}, process.Options{})
	d.must(err)
	defer p.Close()
	id, err := p.Identity(context.Background())
	d.must(err)
	return id
}

func (d *disks) alone() bool {
	d.s.t.Helper()
	disk := d.elsewhere()
	if filepath.Dir(d.dir) == disk {
		disk = d.home()
	}
	list, err := os.ReadDir(filepath.Join(disk, "process", "sandboxes"))
	d.must(err)
	return len(list) == 0
}
