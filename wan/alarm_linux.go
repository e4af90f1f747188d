package wan

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// alarm is a timer of the kernel's. It is late by tens of microseconds, where those
// of the Go runtime resolve a millisecond, and holds no thread while it waits.
type alarm struct {
	file  *os.File
	conn  syscall.RawConn
	set   func(fd uintptr) // made once, so that sleep allocates nothing
	spec  unix.ItimerSpec
	fault error
	ticks [8]byte
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "timer")}
	a.set = func(fd uintptr) { a.fault = unix.TimerfdSettime(int(fd), 0, &a.spec, nil) }
	if a.conn, err = a.file.SyscallConn(); err != nil {
		return nil, giveUp(fd, err)
	}
	return a, nil
}

// sleep waits for d, which is more than 0, or until a is closed.
func (a *alarm) sleep(d time.Duration) error {
	a.spec.Value = unix.NsecToTimespec(int64(d))
	if err := a.conn.Control(a.set); err != nil {
		return err
	}
	if a.fault != nil {
		return a.fault
	}
	_, err := a.file.Read(a.ticks[:])
	return err
}

func (a *alarm) Close() error { return a.file.Close() }
