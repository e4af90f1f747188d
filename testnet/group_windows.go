package testnet

import "syscall"

// ownGroup keeps a console's Ctrl-C from a process: only the parent gets it, and
// drains.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
