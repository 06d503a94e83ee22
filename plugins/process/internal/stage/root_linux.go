package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	rootBytes = 1 << 20 // of the root, which holds directories and mount points alone
	devBytes  = 64 << 10
	maxInodes = 1 << 16 // of /tmp and /dev/shm
)

// leaveHost puts an empty tmpfs with /proc in the place of the host's root. It comes before
// anything is made or mounted at a path that another's content could lead astray: what a
// symlink may point to from then on is in the sandbox.
func leaveHost(b *Blank) error {
	do := &doing{}
	do.mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	const base = "/tmp" // some directory that every host has
	do.mount("tmpfs", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,nr_inodes=4096,size="+strconv.Itoa(rootBytes))
	do.call("chdir", base, unix.Chdir(base))
	do.mkdir("proc", 0o555)
	do.mount("proc", "proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if do.err != nil {
		return do.err
	}
	do.call("pivot_root", base, unix.PivotRoot(".", "."))
	do.call("umount", "the old root", unix.Unmount(".", unix.MNT_DETACH))
	do.call("chdir", "/", unix.Chdir("/"))
	if b.on(User) && b.on(Ucounts) {
		do.limit("max_inotify_instances", maxInotify)
		do.limit("max_inotify_watches", maxWatches)
	}
	return do.err
}

// How much of what the kernel counts by users of the host one sandbox may have; see
// owner_linux.go. The kernel lets a user have 128 instances.
const (
	maxInotify = 32
	maxWatches = 1 << 14
)

// limit sets a limit of this process's user namespace; see namespaces(7) for /proc/sys/user.
func (d *doing) limit(name string, n int) {
	if d.err != nil {
		return
	}
	path := "/proc/sys/user/" + name
	err := os.WriteFile(path, []byte(strconv.Itoa(n)), 0)
	if !errors.Is(err, fs.ErrNotExist) { // a kernel without it
		d.call("limit", path, err)
	}
}

// makeRoot makes the sandbox's root of trees, which the shim has handed over, or of our own.
// A shim that is not root hands over none, and this process is still on the host then.
func makeRoot(o *Order, given []int) (err error) {
	if !o.on(Root) {
		return nil
	}
	if !o.Privileged {
		if given, err = openTrees(o); err != nil {
			return err
		}
		if err := leaveHost(&o.Blank); err != nil {
			return err
		}
	}
	do, trees := &doing{}, &trees{given}
	for _, e := range o.Entries {
		if e.Source == "" {
			do.symlink(e.Link, e.Target)
			continue
		}
		do.attach(trees.next(), e.Target)
	}
	do.dev(o, trees)
	tmp := tmpOptions(o)
	do.mkdirs("/tmp")
	do.mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, tmp)
	mounts := slices.Clone(o.Mounts)
	fds := make(map[string]int, len(mounts))
	for _, m := range mounts {
		fds[m.Target] = trees.next()
	}
	slices.SortStableFunc(mounts, func(a, b Mount) int { return strings.Count(a.Target, "/") - strings.Count(b.Target, "/") })
	for _, m := range mounts { // what contains others first
		do.attach(fds[m.Target], m.Target)
	}
	if o.on(Masks) {
		do.mask()
	}
	do.mkdirs(o.WorkDir)
	if o.on(ReadOnly) {
		do.call("read-only", "/", unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}))
	}
	return do.err
}

// trees are detached mounts in the order of openTrees.
type trees struct{ left []int }

func (t *trees) next() int {
	fd := t.left[0]
	t.left = t.left[1:]
	return fd
}

func tmpOptions(o *Order) string {
	options := "mode=1777"
	if o.on(TmpSize) {
		options += ",nr_inodes=" + strconv.Itoa(maxInodes) + ",size=" + strconv.FormatInt(o.TmpBytes, 10)
	}
	return options
}

// doing does one thing after the other until one fails.
type doing struct{ err error }

func (d *doing) call(what, path string, err error) {
	if d.err == nil && err != nil {
		d.err = fmt.Errorf("%s %s: %w", what, path, err)
	}
}

func (d *doing) mount(source, target, fstype string, flags uintptr, data string) {
	if d.err == nil {
		d.call("mount", target, unix.Mount(source, target, fstype, flags, data))
	}
}

func (d *doing) mkdir(path string, mode uint32) {
	if d.err == nil {
		d.call("mkdir", path, unix.Mkdir(path, mode))
	}
}

func (d *doing) mkdirs(path string) {
	if d.err == nil {
		d.call("mkdir", path, mkdirs(path))
	}
}

// mkdirs is os.MkdirAll that tells what can be done about a root that is read-only there.
func mkdirs(path string) error {
	err := os.MkdirAll(path, 0o755)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; make it in the image, or choose a path outside of what is mounted there", err)
	}
	return err
}

func (d *doing) symlink(to, path string) {
	if d.err == nil {
		d.call("symlink", path, os.Symlink(to, path))
	}
}

// attach mounts a tree at target, which is made when it is missing.
func (d *doing) attach(fd int, target string) {
	if d.err != nil {
		return
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		d.call("stat", target, err)
		return
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		d.mkdirs(target)
	} else if _, err := os.Lstat(target); err != nil {
		d.mkdirs(path.Dir(target))
		f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			f.Close()
		}
		d.call("make", target, err)
	}
	if d.err == nil {
		d.call("mount", target, unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH))
	}
	unix.Close(fd)
}

// dev makes a small /dev: nodes of the host that give nothing away, terminals and shared
// memory of its own.
func (d *doing) dev(o *Order, t *trees) {
	d.mkdirs("/dev")
	d.mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755,size="+strconv.Itoa(devBytes))
	for _, name := range devices {
		d.attach(t.next(), "/dev/"+name)
	}
	d.symlink("/proc/self/fd", "/dev/fd")
	d.symlink("/proc/self/fd/0", "/dev/stdin")
	d.symlink("/proc/self/fd/1", "/dev/stdout")
	d.symlink("/proc/self/fd/2", "/dev/stderr")
	d.mkdir("/dev/pts", 0o755)
	d.mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
	d.symlink("pts/ptmx", "/dev/ptmx")
	d.mkdir("/dev/shm", 0o1777)
	d.mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, tmpOptions(o))
	if o.on(ReadOnly) && d.err == nil {
		d.call("read-only", "/dev", unix.MountSetattr(unix.AT_FDCWD, "/dev", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}))
	}
}

// The parts of /proc that tell of the host or change it; as container runtimes have them.
var (
	hidden   = []string{"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"}
	readOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

func (d *doing) mask() {
	for _, p := range hidden {
		info, err := os.Stat(p)
		if err != nil {
			continue
		}
		if info.IsDir() {
			d.mount("tmpfs", p, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0,mode=0555")
		} else {
			d.mount("/dev/null", p, "", unix.MS_BIND, "")
		}
	}
	for _, p := range readOnly {
		if _, err := os.Stat(p); err != nil {
			continue
		}
		d.mount(p, p, "", unix.MS_BIND|unix.MS_REC, "")
		if d.err == nil {
			d.call("read-only", p, unix.MountSetattr(unix.AT_FDCWD, p, 0,
				&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}))
		}
	}
}
