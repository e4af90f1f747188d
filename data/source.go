package data

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Vocabulary is the number of tokens of the byte tokenizer: every byte is its own.
const Vocabulary = 256

// Source names a text exactly, so that every machine of a job trains on the same
// bytes: it is part of the job's manifest, the bytes themselves are not.
type Source struct {
	Name       string `json:"name" yaml:"name"`
	SHA256     string `json:"sha256" yaml:"sha256"`       // of the raw text, 64 lower-case hex digits
	Bytes      int64  `json:"bytes" yaml:"bytes"`         // length of the raw text
	Tokenizer  string `json:"tokenizer" yaml:"tokenizer"` // "byte"
	Validation Span   `json:"validation" yaml:"validation"`
}

// Span is the half-open range of bytes that is held out of training.
type Span struct {
	From int64 `json:"from" yaml:"from"`
	To   int64 `json:"to" yaml:"to"`
}

// Validate joins all faults of s. It knows nothing of the text itself; Open
// compares that.
func (s Source) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("source %q: "+format, append([]any{s.Name}, args...)...))
	}
	if s.Name == "" {
		fault("has no name")
	}
	if sum, err := hex.DecodeString(s.SHA256); err != nil || len(sum) != sha256.Size || hex.EncodeToString(sum) != s.SHA256 {
		fault("sha256 is %q, want 64 lower-case hex digits", s.SHA256)
	}
	if s.Tokenizer != "byte" {
		fault("tokenizer is %q, want byte", s.Tokenizer)
	}
	if s.Bytes <= 0 {
		fault("bytes is %d, want more than 0", s.Bytes)
	}
	if v := s.Validation; v.From < 0 || v.To <= v.From || v.To > s.Bytes {
		fault("validation [%d,%d) is not a range within its %d bytes", v.From, v.To, s.Bytes)
	} else if v.To-v.From == s.Bytes {
		fault("validation [%d,%d) leaves nothing to train on", v.From, v.To)
	}
	return errors.Join(faults...)
}
