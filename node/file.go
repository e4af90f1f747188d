package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// readSmall reads a file of at most maxDirFileBytes.
func readSmall(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxDirFileBytes+1))
	if err == nil && len(raw) > maxDirFileBytes {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxDirFileBytes)
	}
	return raw, err
}

// replaceFile makes path hold content, mode 0600, such that a crash at any moment leaves the old or the
// new content, and that the new one stays once replaceFile has returned.
func replaceFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	err = errors.Join(writeAll(file, content), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func writeAll(file *os.File, content []byte) error {
	_, err := file.Write(content)
	return err
}

// syncDir makes renames inside dir durable. Windows has no call for it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
