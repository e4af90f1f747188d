//go:build unix

package testnet

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Screen returns the size of the terminal that w writes to, if it is one that
// understands control sequences.
func Screen(w io.Writer) (width, height int, terminal bool) {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return 0, 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}
