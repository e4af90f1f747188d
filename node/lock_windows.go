package node

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lockByte is beyond everything written to a lock file: a locked byte cannot be read by others.
const lockByte = 1 << 30

// tryLock takes the lock on file for as long as file is open, and says whether it was free. The system
// gives it back when the process ends, however it ends.
func tryLock(file *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{Offset: lockByte})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// isAddrInUse says whether a listener failed because another one has its address, or keeps it for itself.
func isAddrInUse(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}
