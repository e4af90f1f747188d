package testnet

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// Screen returns the size of the console that w writes to, if it is one that
// understands control sequences, which it is then asked to.
func Screen(w io.Writer) (width, height int, terminal bool) {
	file, ok := w.(*os.File)
	if !ok {
		return 0, 0, false
	}
	console := windows.Handle(file.Fd())
	var mode uint32
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleMode(console, &mode) != nil ||
		windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) != nil ||
		windows.GetConsoleScreenBufferInfo(console, &info) != nil {
		return 0, 0, false
	}
	return int(info.Window.Right-info.Window.Left) + 1, int(info.Window.Bottom-info.Window.Top) + 1, true
}
