// Package cgroup limits what a sandbox's processes use together: memory and swap, CPU
// time, and their number. It writes both versions of the kernel's interface: the
// hierarchies of version 1 under /sys/fs/cgroup/<controller>, and the one of version 2.
// See cgroups(7), and admin-guide/cgroup-v2 and cgroup-v1 of the kernel.
package cgroup
