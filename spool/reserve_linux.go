package spool

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve makes file size bytes long and has the disk keep the room.
func reserve(file *os.File, size int64) error {
	err := unix.Fallocate(int(file.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return file.Truncate(size)
	}
	return err
}
