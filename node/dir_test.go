package node

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	ma "github.com/multiformats/go-multiaddr"
)

// tempDir opens the directory at path, a fresh one if that is empty, until the test ends.
func tempDir(t *testing.T, path string) *directory {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "node")
	}
	d, err := openDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestIdentityStays(t *testing.T) {
	d := tempDir(t, "")
	first, err := d.identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := tempDir(t, d.path).identity()
	if err != nil || !again.Equals(first) {
		t.Errorf("another key after a restart (%v)", err)
	}
	if runtime.GOOS == "windows" {
		return // has no modes
	}
	for path, want := range map[string]os.FileMode{d.path: 0o700, filepath.Join(d.path, identityFile): 0o600} {
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", path, stat.Mode().Perm(), want, err)
		}
	}
}

func TestIdentityRefused(t *testing.T) {
	marshal := func(key crypto.PrivKey, _ crypto.PubKey, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		raw, err := crypto.MarshalPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good := marshal(crypto.GenerateEd25519Key(rand.Reader))
	tests := []struct {
		name string
		key  []byte
		mode os.FileMode
		want string
	}{
		{"good", good, 0o600, ""},
		{"readable by others", good, 0o644, "chmod 600"},
		{"empty", nil, 0o600, "is no Ed25519 key"},
		{"cut", good[:40], 0o600, "is no Ed25519 key"},
		{"other kind", marshal(crypto.GenerateSecp256k1Key(rand.Reader)), 0o600, "key type is Secp256k1"},
		{"far too long", make([]byte, maxDirFileBytes+1), 0o600, "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := tempDir(t, "")
			path := filepath.Join(d.path, identityFile)
			if err := errors.Join(os.WriteFile(path, tt.key, 0o600), os.Chmod(path, tt.mode)); err != nil {
				t.Fatal(err)
			}
			_, err := d.identity()
			checkErr(t, err, tt.want)
			if now, _ := os.ReadFile(path); !slices.Equal(now, tt.key) {
				t.Error("the key file was overwritten")
			}
		})
	}
}

func TestSessionGrows(t *testing.T) {
	d := tempDir(t, "")
	for want := uint64(1); want <= 3; want++ {
		if got, err := d.nextSession(); got != want || err != nil {
			t.Fatalf("session %d, %v, want %d", got, err, want)
		}
	}
	for _, bad := range []string{"", "x", "-1", "9223372036854775808"} {
		if err := os.WriteFile(filepath.Join(d.path, sessionFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := d.nextSession()
		checkErr(t, err, "higher than any before")
	}
}

func TestClaim(t *testing.T) {
	d := tempDir(t, "")
	if manifest, err := d.job(); manifest != nil || err != nil {
		t.Errorf("job of a new directory: %q, %v", manifest, err)
	}
	steps := []struct{ name, manifest, want string }{
		{"first", `{"k":8}`, ""},
		{"same", `{"k":8}`, ""},
		// SHA-256 of both manifests, by sha256sum.
		{"another", `{"k":9}`, "belongs to job b2cfb88a4a5565529e6782350817b94ddf9cb6192a946f73acf06452eb12105f, not to d3fca19af327d40b9d54b5a389a48855dc15325b01dbfbe029ab2a393f2c650b"},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			checkErr(t, d.claim([]byte(step.manifest)), step.want)
			if held, err := d.job(); string(held) != `{"k":8}` || err != nil {
				t.Errorf("the directory holds %q, %v", held, err)
			}
		})
	}
}

func TestListenedAddrs(t *testing.T) {
	d := tempDir(t, "")
	if addrs, err := d.listened(); addrs != nil || err != nil {
		t.Errorf("a new directory: %v, %v", addrs, err)
	}
	want := []ma.Multiaddr{ma.StringCast("/ip4/0.0.0.0/tcp/4001"), ma.StringCast("/ip6/::/udp/4002/quic-v1")}
	if err := d.rememberListen(want); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.path, listenFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("junk\n\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := d.listened()
	if err != nil || !slices.EqualFunc(got, want, ma.Multiaddr.Equal) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestOpenDirFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := openDir(file)
	checkErr(t, err, "create node directory")

	d := tempDir(t, "")
	_, err = openDir(d.path)
	checkErr(t, err, fmt.Sprintf("in use by another halos process (%d)", os.Getpid()))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	tempDir(t, d.path)
}

// lockedDirEnv makes TestKilledNodeReleasesDir of a child process the one that is killed.
const lockedDirEnv = "HALOS_TEST_LOCKED_DIR"

func TestKilledNodeReleasesDir(t *testing.T) {
	if path := os.Getenv(lockedDirEnv); path != "" {
		tempDir(t, path)
		os.Stdout.WriteString("locked\n")
		io.Copy(io.Discard, os.Stdin) // until the parent is gone
		return
	}
	path := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), lockedDirEnv+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	_, err = openDir(path)
	checkErr(t, err, fmt.Sprintf("(%d)", child.Process.Pid))
	child.Process.Kill()
	child.Wait() // fails: it was killed
	tempDir(t, path)
}
