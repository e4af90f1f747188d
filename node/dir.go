package node

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"
	ma "github.com/multiformats/go-multiaddr"
)

// Files of a node's directory. Snapshots and metrics.jsonl lie beside them.
const (
	lockFile     = "lock"         // held by the running node; names its process
	identityFile = "identity.key" // libp2p private key, protobuf, 0600
	sessionFile  = "session"      // decimal number of the last start
	jobFile      = "job.json"     // canonical bytes of the manifest
	listenFile   = "listen"       // a multiaddr per line: where the node listened last
)

// maxDirFileBytes bounds what is read from any of the small files.
const maxDirFileBytes = 1 << 20

// directory is the durable self of a node. While it is open no other process can open it.
type directory struct {
	path string // absolute
	lock *os.File
}

// openDir creates the directory at path where it is missing and takes its lock.
func openDir(path string) (*directory, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("directory %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("create node directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock node directory: %w", err)
	}
	free, err := tryLock(lock)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock node directory %s: %w", abs, err), lock.Close())
	}
	if !free {
		holder, _ := io.ReadAll(io.LimitReader(lock, 20)) // only to name it
		return nil, errors.Join(fmt.Errorf("directory %s is in use by another halos process (%s): stop that one, or give this node its own --dir",
			abs, cmp.Or(strings.TrimSpace(string(holder)), "unknown")), lock.Close())
	}
	if err := errors.Join(lock.Truncate(0), writeAll(lock, fmt.Appendln(nil, os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("lock node directory: %w", err), lock.Close())
	}
	return &directory{path: abs, lock: lock}, nil
}

// Close lets another process open the directory.
func (d *directory) Close() error { return d.lock.Close() }

// identity returns the key that the node's peer id is made of, and makes one the first time.
func (d *directory) identity() (crypto.PrivKey, error) {
	path := filepath.Join(d.path, identityFile)
	raw, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.newIdentity(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	stat, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	if mode := stat.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("identity key %s has mode %04o, others may have read it: chmod 600 it if they have not, "+
			"else move it away for a new identity", path, mode)
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err == nil && key.Type() != pb.KeyType_Ed25519 {
		err = fmt.Errorf("key type is %s", key.Type())
	}
	if err != nil {
		return nil, fmt.Errorf("identity key %s is no Ed25519 key in libp2p's form (%w): restore it, or move it away for a new identity", path, err)
	}
	return key, nil
}

func (d *directory) newIdentity(path string) (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make identity: %w", err)
	}
	if err := replaceFile(path, raw); err != nil {
		return nil, fmt.Errorf("store identity: %w", err)
	}
	return key, nil
}

// nextSession returns the number of this start, from 1, after storing it durably: no two starts of an
// identity ever name their deltas alike.
func (d *directory) nextSession() (uint64, error) {
	path := filepath.Join(d.path, sessionFile)
	raw, err := readSmall(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read session: %w", err)
	}
	var last uint64
	if err == nil {
		last, err = strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 63)
		if err != nil {
			return 0, fmt.Errorf("session file %s holds %.40q, not the number of the last start: write one that is higher than any before", path, raw)
		}
	}
	if err := replaceFile(path, fmt.Appendln(nil, last+1)); err != nil {
		return 0, fmt.Errorf("store session: %w", err)
	}
	return last + 1, nil
}

// job returns the canonical bytes of the manifest that the directory belongs to, nil if there is none yet.
func (d *directory) job() ([]byte, error) {
	manifest, err := readSmall(filepath.Join(d.path, jobFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read job: %w", err)
	}
	return manifest, nil
}

// claim makes the directory that of one job for ever. It never overwrites another job's.
func (d *directory) claim(manifest []byte) error {
	held, err := d.job()
	if err != nil {
		return err
	}
	if held == nil {
		if err := replaceFile(filepath.Join(d.path, jobFile), manifest); err != nil {
			return fmt.Errorf("store job: %w", err)
		}
		return nil
	}
	if !bytes.Equal(held, manifest) {
		return fmt.Errorf("%w: directory %s belongs to job %x, not to %x: use another --dir for this job",
			ErrMismatch, d.path, sha256.Sum256(held), sha256.Sum256(manifest))
	}
	return nil
}

// listened returns where the node listened last, nil at its first start. Lines that are no multiaddr are
// left out: the ports are a convenience.
func (d *directory) listened() ([]ma.Multiaddr, error) {
	raw, err := readSmall(filepath.Join(d.path, listenFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read listen addresses: %w", err)
	}
	var addrs []ma.Multiaddr
	for line := range strings.Lines(string(raw)) {
		if a, err := ma.NewMultiaddr(strings.TrimSpace(line)); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// rememberListen stores the addresses that a host listens on, for listened after a restart.
func (d *directory) rememberListen(addrs []ma.Multiaddr) error {
	var text []byte
	for _, a := range addrs {
		text = fmt.Appendln(text, a)
	}
	if err := replaceFile(filepath.Join(d.path, listenFile), text); err != nil {
		return fmt.Errorf("store listen addresses: %w", err)
	}
	return nil
}
