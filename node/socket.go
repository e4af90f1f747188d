package node

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	socketFile = "status.sock"
	// maxSocketPath is what every system's socket address holds (macOS: 104 bytes with the final zero).
	maxSocketPath = 100
	// maxStatusBytes bounds what a reader takes: some ten thousand peers.
	maxStatusBytes = 4 << 20
	// statusTimeout bounds one answer, written or read.
	statusTimeout = 5 * time.Second
	// maxStatusReaders are answered at once.
	maxStatusReaders = 8
)

// ErrNotRunning says that no node runs in the directory that was asked.
var ErrNotRunning = errors.New("no node is running")

// socketPath returns where the node in dir, which exists, serves its status: in dir, or where that path is
// too long for a socket, under a name made from it in the system's temporary directory.
func socketPath(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // both sides may have come by different ways
	}
	path := filepath.Join(dir, socketFile)
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), fmt.Sprintf("halos-%x.sock", sum[:8]))
}

// serveStatus answers each connection to the Unix socket at path with status() as one JSON document, until
// ctx ends. Whoever holds the directory's lock may call it: a socket left by a killed process is replaced.
// Only the user who runs the node can connect.
func serveStatus(ctx context.Context, path string, status func() Status) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("status socket: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("status socket: %w", err)
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("status socket: %w", err)
	}
	var answers errgroup.Group
	answers.SetLimit(maxStatusReaders)
	for {
		conn, err := listener.Accept()
		if err != nil {
			answers.Wait()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("status socket: %w", err)
		}
		answers.Go(func() error {
			defer conn.Close()
			s := status().encodable()
			conn.SetDeadline(time.Now().Add(statusTimeout))
			json.NewEncoder(conn).Encode(s) // a reader that is gone needs no answer
			return nil
		})
	}
}

// ReadStatus asks the node that runs in dir for its status. The error is ErrNotRunning if there is none.
func ReadStatus(ctx context.Context, dir string) (Status, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Status{}, fmt.Errorf("status of %s: %w", dir, err)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	conn, err := dialStatus(ctx, abs)
	if err != nil {
		return Status{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	raw, err := io.ReadAll(io.LimitReader(conn, maxStatusBytes))
	if err != nil {
		return Status{}, fmt.Errorf("the node in %s does not answer: %w", abs, err)
	}
	var s Status
	if err := json.Unmarshal(raw, &s); err != nil {
		return Status{}, fmt.Errorf("the node in %s answered %d bytes that are no status: %w", abs, len(raw), err)
	}
	if s.Schema == "" {
		return Status{}, fmt.Errorf("%w in %s any more: it is stopping", ErrNotRunning, abs)
	}
	if s.Schema != StatusSchema {
		return Status{}, fmt.Errorf("the node in %s speaks %q, this program %q: use the same version", abs, s.Schema, StatusSchema)
	}
	return s, nil
}

// dialStatus connects to the status socket of the node in dir.
func dialStatus(ctx context.Context, dir string) (net.Conn, error) {
	_, err := os.Stat(filepath.Join(dir, identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: that is no node's directory", ErrNotRunning, dir)
	}
	var conn net.Conn
	if err == nil {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", socketPath(dir))
	}
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the node in %s belongs to another user: %w", dir, err)
	default:
		return nil, fmt.Errorf("%w in %s: start it with halos run, or name the directory of one that runs (%w)", ErrNotRunning, dir, err)
	}
}
