package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Describe makes the source of a user's text: its length and hash, with the last
// twentieth held out. It reads the file once, in pieces.
func Describe(name, file string) (Source, error) {
	f, _, err := openRegular(file)
	if err != nil {
		return Source{}, fmt.Errorf("source %q: %w", name, err)
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	if err != nil {
		return Source{}, fmt.Errorf("source %q: read %s: %w", name, file, err)
	}
	if size < 2 {
		return Source{}, fmt.Errorf("source %q: %s has %d bytes, too few to train and validate on", name, file, size)
	}
	s := Source{
		Name:       name,
		SHA256:     hex.EncodeToString(hash.Sum(nil)),
		Bytes:      size,
		Tokenizer:  "byte",
		Validation: Span{From: size - max(1, size/20), To: size},
	}
	return s, s.Validate()
}
