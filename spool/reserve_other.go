//go:build !linux

package spool

import "os"

// reserve makes file size bytes long; that the disk has the room shows at each
// write.
func reserve(file *os.File, size int64) error { return file.Truncate(size) }
