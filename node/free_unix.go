//go:build linux || darwin || freebsd

package node

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeBytes is the room that this user has left on the disk of dir, which need not exist yet.
func freeBytes(dir string) (free uint64, ok bool) {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	if err != nil {
		err = unix.Statfs(filepath.Dir(dir), &s)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), err == nil
}
