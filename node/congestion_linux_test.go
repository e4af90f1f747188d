package node

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWithoutTheModule(t *testing.T) {
	if err := tryCongestion("nonesuch"); !errors.Is(err, errNoControl) {
		t.Errorf("a control that does not exist: %v", err)
	}
}

// What a process without privileges is told, by a thread that has given its own up.
func TestWithoutThePrivilege(t *testing.T) {
	kept := keptControl(t)
	refused := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		var none [2]unix.CapUserData
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			refused <- err
			return
		}
		refused <- tryCongestion(kept)
	}()
	if err := <-refused; !errors.Is(err, errNotAllowed) {
		t.Errorf("%s without privileges: %v", kept, err)
	}
}

// keptControl returns a congestion control that this kernel has and keeps for privileged processes.
func keptControl(t *testing.T) string {
	t.Helper()
	all, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if err != nil {
		t.Skipf("the kernel does not say what it has: %v", err)
	}
	for _, name := range strings.Fields(string(all)) {
		if !slices.Contains(strings.Fields(allowedCongestion()), name) {
			return name
		}
	}
	t.Skip("this kernel lets everyone use all it has")
	return ""
}
