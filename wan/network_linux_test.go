package wan

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A connection outlives a cut of its link.
func TestCutAndMend(t *testing.T) {
	n := connected(t, Link{RTT: 4 * ms})
	near, far := n.pair(t, "cubic")
	n.Cut("b", "a")
	if _, err := near.Write([]byte("there")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a packet that met the cut", func() bool { return n.Count("a", "b").Cut > 0 })
	before := n.Count("a", "b").Packets
	eventually(t, "another one", func() bool { return n.Count("a", "b").Cut > 2 })
	if after := n.Count("a", "b").Packets; after != before {
		t.Errorf("%d packets crossed a cut link", after-before)
	}
	n.Mend("a", "b")
	_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 8)
	if got, err := far.Read(b); string(b[:got]) != "there" || err != nil {
		t.Errorf("read %q, %v after the link was mended", b[:got], err)
	}
}

// Datagrams that the kernel keeps together cross as one frame and arrive apart.
func TestDatagramsInOneFrame(t *testing.T) {
	n := connected(t, Link{RTT: ms})
	from, to := n.datagrams(t)
	conn, err := from.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Skipf("this kernel keeps no datagrams together: %v", err)
	}
	if _, err := from.Write(make([]byte, 10_500)); err != nil {
		t.Fatal(err)
	}
	_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
	for i := range 11 {
		want := 1000
		if i == 10 {
			want = 500
		}
		if got, err := to.Read(make([]byte, 20_000)); got != want || err != nil {
			t.Errorf("datagram %d has %d bytes, %v, want %d", i, got, err, want)
		}
	}
	eventually(t, "all counted", func() bool { return n.Count("a", "b") == Count{Packets: 11, Bytes: 10_500 + 11*28} })
}

// childOf tells a test that it runs in a child process, inside a region.
const childOf = "WAN_CHILD_OF"

func TestStartInside(t *testing.T) {
	if want := os.Getenv(childOf); want != "" {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			t.Logf("has %v.", a)
		}
		return
	}
	n := connected(t, Link{})
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStartInside$", "-test.v")
	cmd.Env = append(os.Environ(), childOf+"=b")
	var out strings.Builder
	cmd.Stdout = &out
	if err := n.Start("b", cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "has 10.77.2.1/16.") || strings.Count(out.String(), "has ") > 4 {
		t.Errorf("a process in region b says:\n%s", &out)
	}
}

// No thread of this process stays in a region.
func TestThreadsComeBack(t *testing.T) {
	n := connected(t, Link{})
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	inside := ""
	if err := n.Do("a", func() (err error) { inside, err = os.Readlink(threadNamespace); return err }); err != nil || inside == home {
		t.Errorf("the function ran in %s, %v, as this process does", inside, err)
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(threads) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	for _, thread := range threads {
		if is, err := os.Readlink(thread); err == nil && is != home {
			t.Errorf("%s is %s, want %s", thread, is, home)
		}
	}
	if err := n.Do("a", func() error { return os.ErrDeadlineExceeded }); err != os.ErrDeadlineExceeded {
		t.Errorf("the function's error came back as %v", err)
	}
}

func TestSettingsOfTheRegions(t *testing.T) {
	n := connected(t, Link{})
	var before, after [3]int
	read := func(x *[3]int) error { return readSetting("ipv4/tcp_wmem", &x[0], &x[1], &x[2]) }
	if err := read(&before); err != nil {
		t.Fatal(err)
	}
	s, err := n.Settings()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(s)
	if s.Congestion == "" || len(s.Available) == 0 || s.TCPRmem[2] != bufferMost || s.TCPWmem[2] != bufferMost || s.RmemMax == 0 || s.Qdisc == "" {
		t.Errorf("%+v", s)
	}
	for _, want := range []string{"tcp_wmem ", "33554432", "mtu 1500", "qdisc " + s.Qdisc, "(available "} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("%q is not in %q", want, s)
		}
	}
	other := connected(t, Link{})
	if err := other.Do("b", func() error { return read(&after) }); err != nil || after[2] != bufferMost {
		t.Errorf("tcp_wmem in region b is %v, %v", after, err)
	}
	if err := read(&after); err != nil || after != before {
		t.Errorf("tcp_wmem of this process is %v, %v, was %v", after, err, before)
	}
}

func TestClosedNetwork(t *testing.T) {
	n := connected(t, Link{RTT: time.Second})
	from, _ := n.datagrams(t)
	if _, err := from.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Whoever may not have a network is told why and what to do.
func TestUnavailable(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{unix.EPERM, "it takes root: run it by sudo"},
		{unix.ENOENT, "run modprobe tun"},
		{unix.EROFS, "start it with --privileged"},
		{unix.EINVAL, "no network namespaces"},
	} {
		if err := explain("do it", c.err); !errors.Is(err, ErrUnavailable) || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.err, err, c.want)
		}
	}
	if err := explain("do it", unix.EMFILE); errors.Is(err, ErrUnavailable) || !errors.Is(err, unix.EMFILE) {
		t.Errorf("too many files: %v, want no more than that", err)
	}
	if n, err := New([]string{"a"}, Links{}, 1); os.Geteuid() != 0 && !errors.Is(err, ErrUnavailable) {
		t.Errorf("without root: %v, %v, want ErrUnavailable", n, err)
	} else if err == nil {
		_ = n.Close()
	}
}
