package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// nodeDir makes a directory with an identity below the given one.
func nodeDir(t *testing.T, names ...string) string {
	t.Helper()
	d := tempDir(t, filepath.Join(append([]string{t.TempDir()}, names...)...))
	if _, err := d.identity(); err != nil {
		t.Fatal(err)
	}
	return d.path
}

// serveUntilEnd serves the status of dir until the test ends or the returned function is called.
func serveUntilEnd(t *testing.T, dir string, s Status) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveStatus(ctx, socketPath(dir), func() Status { return s }) }()
	stop = func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { stop() })
	for { // the socket answers as soon as it is there
		conn, err := net.Dial("unix", socketPath(dir))
		if err == nil {
			conn.Close()
			return stop
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
	}
}

func TestStatusIsReadBack(t *testing.T) {
	want := Status{
		Schema: StatusSchema, Peer: "p", Job: "ab", Region: "eu", Roles: []string{"lps", "worker"}, Addrs: []string{"/a"}, Uptime: 1.5,
		Peers:  []PeerStatus{{ID: "q", Region: "us", Roles: []string{"gps"}, Connected: true}},
		Worker: &WorkerStatus{Session: 1, Seq: 2, Steps: 3, TokensPerSecond: 4.5, Loss: math.NaN(), State: "training"},
		LPS:    &LPSStatus{Version: 1, Workers: 2},
		Bytes:  ByteStatus{WAN: 1, Local: 2}, Dropped: 3,
	}
	tests := []struct {
		name string
		dir  []string
	}{
		{"near", []string{"n"}},
		{"far", []string{strings.Repeat("long", 15), strings.Repeat("long", 15)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := nodeDir(t, tt.dir...)
			stop := serveUntilEnd(t, dir, want)
			got, err := ReadStatus(t.Context(), dir)
			want := want
			worker := *want.Worker
			worker.Loss = 0
			want.Worker = &worker
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
			if stat, err := os.Stat(socketPath(dir)); err != nil || stat.Mode().Perm() != 0o600 {
				t.Errorf("socket %s: mode %v, %v", socketPath(dir), stat.Mode(), err)
			}
			if len(socketPath(dir)) > maxSocketPath {
				t.Errorf("socket path %s has %d bytes", socketPath(dir), len(socketPath(dir)))
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if _, err := ReadStatus(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// TestStatusSchema pins the names that programs read.
func TestStatusSchema(t *testing.T) {
	got, err := json.Marshal(Status{Worker: &WorkerStatus{}, LPS: &LPSStatus{}, GPS: &GPSStatus{ValLoss: math.Inf(1), Alarm: &AlarmStatus{Reason: "full", Failed: 2, Durable: 3}}}.encodable())
	want := `{"schema":"","peer":"","job":"","region":"","roles":[],"addrs":[],"uptime":0,"peers":[],` +
		`"worker":{"session":0,"seq":0,"steps":0,"tokens":0,"tokens_per_second":0,"loss":0,"blocked":0,"base_version":0,"outbox":0,"decided":0,"durable":0,"state":""},` +
		`"lps":{"version":0,"merged_version":0,"global_version":0,"workers":0,"updates_since_push":0,"pushes":0,"decided":0,"durable":0,"leased":0,"committed":0,"alarm":null},` +
		`"gps":{"version":0,"regions":0,"committed":0,"total":0,"val_loss":0,` +
		`"alarm":{"reason":"full","since":0,"failed_attempts":2,"durable_version":3}},"bytes":{"wan":0,"lan":0,"topic":0,"local":0},"dropped":0}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func TestReadStatusFails(t *testing.T) {
	answer := func(text string) func(t *testing.T) string {
		return func(t *testing.T) string {
			dir := nodeDir(t, "n")
			l, err := net.Listen("unix", socketPath(dir))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				if conn, err := l.Accept(); err == nil {
					io.WriteString(conn, text)
					conn.Close()
				}
			}()
			return dir
		}
	}
	tests := []struct {
		name       string
		dir        func(t *testing.T) string
		want       string
		notRunning bool
	}{
		{"no directory", func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, "no node's directory", true},
		{"foreign directory", func(t *testing.T) string { return t.TempDir() }, "no node's directory", true},
		{"never started", func(t *testing.T) string { return nodeDir(t, "n") }, "start it with halos run", true},
		{"nothing", answer(""), "answered 0 bytes", false},
		{"garbage", answer("hello"), "answered 5 bytes that are no status", false},
		{"stopping", answer("{}"), "it is stopping", true},
		{"other version", answer(`{"schema":"halos.status/2"}`), `speaks "halos.status/2"`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadStatus(t.Context(), tt.dir(t))
			checkErr(t, err, tt.want)
			if errors.Is(err, ErrNotRunning) != tt.notRunning {
				t.Errorf("ErrNotRunning is %v in %v", !tt.notRunning, err)
			}
		})
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	dir := nodeDir(t, "n")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath(dir), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as a killed process does
	l.Close()
	if _, err := ReadStatus(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a stale socket answers %v", err)
	}
	serveUntilEnd(t, dir, Status{Schema: StatusSchema})
	if _, err := ReadStatus(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

// TestStatusByAnotherWay reads through a symbolic link, where the socket lies outside the directory.
func TestStatusByAnotherWay(t *testing.T) {
	dir := nodeDir(t, strings.Repeat("long", 15), strings.Repeat("long", 15))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		if runtime.GOOS == "windows" {
			t.Skipf("Windows lets only some users make symbolic links: %v", err)
		}
		t.Fatal(err)
	}
	serveUntilEnd(t, dir, Status{Schema: StatusSchema})
	if _, err := ReadStatus(t.Context(), link); err != nil {
		t.Error(err)
	}
}
