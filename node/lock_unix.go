//go:build unix

package node

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock on file for as long as file is open, and says whether it was free. The kernel
// gives it back when the process ends, however it ends.
func tryLock(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// isAddrInUse says whether a listener failed because another one has its address.
func isAddrInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
