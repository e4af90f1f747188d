package wan

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// threadNamespace is the network namespace of the thread that opens it.
const threadNamespace = "/proc/thread-self/ns/net"

// newNamespace makes a network namespace, which lives as long as the file or what was
// opened inside, and runs setup on a thread inside it.
func newNamespace(setup func() error) (*os.File, error) {
	var namespace *os.File
	enter := func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return explain("make a network namespace", err)
		}
		namespace, err = os.Open(threadNamespace)
		return err
	}
	if err := inside(enter, setup); err != nil {
		if namespace != nil {
			_ = namespace.Close() // it was only opened
		}
		return nil, err
	}
	return namespace, nil
}

// enter makes the calling thread see namespace.
func enter(namespace *os.File) func() error {
	return func() error { return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET) }
}

// inside runs f on a thread of its own after it has entered another namespace, and
// leaves no thread there.
func inside(enter, f func() error) error {
	done := make(chan error)
	go func() {
		err := errors.New("the function did not return")
		defer func() { done <- err }()
		runtime.LockOSThread()
		home, errHome := os.Open(threadNamespace)
		if errHome != nil {
			err = errHome
			runtime.UnlockOSThread()
			return
		}
		defer home.Close()
		defer func() {
			if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread() // else the thread ends with this goroutine
			}
		}()
		if err = enter(); err == nil {
			err = f()
		}
	}()
	return <-done
}

// explain says what keeps this process from doing what a network needs.
func explain(what string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		advice = "it takes root: run it by sudo, in a container with the capabilities SYS_ADMIN and NET_ADMIN"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		advice = "there is no TUN driver: run modprobe tun, start a container with --device /dev/net/tun"
	case errors.Is(err, unix.EROFS):
		advice = "this container cannot change settings of its network: start it with --privileged"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		advice = "this kernel has no network namespaces (CONFIG_NET_NS)"
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w: %s", ErrUnavailable, what, err, advice)
}
