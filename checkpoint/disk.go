package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// makeDir makes a directory and those above it, and sees that the names last.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	parent := filepath.Dir(dir)
	if errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in dir durable. Windows has no such call: there a
// rename is as durable as its journal makes it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeFile makes a durable file of what write writes and returns the SHA-256 of
// its content in hex.
func writeFile(path string, write func(io.Writer) error) (sum string, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	err = write(io.MultiWriter(f, hash))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// readFile hands a file and its length to read and then compares the SHA-256 of
// the whole file with sum, unless that is empty.
func readFile(path, sum string, read func(r io.Reader, size int64) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	hash := sha256.New()
	r := io.TeeReader(f, hash)
	if err := read(r, info.Size()); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	if sum == "" {
		return nil
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		return fmt.Errorf("%s: SHA-256 is %s, %s says %s: truncated or damaged", filepath.Base(path), got, sumsFile, sum)
	}
	return nil
}

// maxText bounds the files of a snapshot that are not tensors.
const maxText = 64 << 20

// readText reads a whole small file, compared with sum as readFile does.
func readText(path, sum string) (text []byte, err error) {
	err = readFile(path, sum, func(r io.Reader, size int64) error {
		if size > maxText {
			return fmt.Errorf("has %d bytes, more than the %d that such a file may have", size, maxText)
		}
		text, err = io.ReadAll(r)
		return err
	})
	return text, err
}
