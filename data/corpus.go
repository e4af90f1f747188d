// Package data turns a text into training samples that every machine of a job
// agrees on, and keeps account of which of them were handed out.
//
// Nothing is exchanged about samples but their indices: sample i is a pure
// function of the source, the seed, i and the length of a window.
package data

import (
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// embedded holds the texts within the program, each in the file NAME.txt.gz.
//
//go:embed austen.txt.gz sotu.txt.gz
var embedded embed.FS

// Embedded lists the sources whose texts are within the program.
func Embedded() []Source { return []Source{Austen(), StateOfTheUnion()} }

// StateOfTheUnion is the addresses of US presidents from 1790 to 2021, of which the
// last twentieth is held out.
func StateOfTheUnion() Source {
	return Source{
		Name:       "sotu",
		SHA256:     "805ccd2b2645318eb01caa3d4a0d374bee2544c1d5e48d2c66f8feaf7ae25790",
		Bytes:      10_761_413,
		Tokenizer:  "byte",
		Validation: Span{From: 10_223_343, To: 10_761_413},
	}
}

// Austen is the six novels of Jane Austen. The shortest of them, Northanger Abbey, is
// held out.
func Austen() Source {
	return Source{
		Name:       "austen",
		SHA256:     "65b434d16a8755142bfa95ba19c5f9abd0d30cf3dffe3b6793e834f9f56dcc96",
		Bytes:      4_025_029,
		Tokenizer:  "byte",
		Validation: Span{From: 1_766_308, To: 2_199_719},
	}
}

// Corpus is an opened source. It holds the whole text in memory, changes nothing
// after Open, and may be used by several goroutines.
type Corpus struct {
	source Source
	train  []byte // the text without the held-out span, its two parts joined
	held   []byte // the held-out span
}

// Open reads the text of s from file, or from this binary if file is empty, and
// refuses any text but the one that s names.
func Open(s Source, file string) (*Corpus, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	text, err := read(s, file)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", s.Name, err)
	}
	v := s.Validation
	held := slices.Clone(text[v.From:v.To])
	return &Corpus{source: s, train: slices.Delete(text, int(v.From), int(v.To)), held: held}, nil
}

// read returns the text of s, checked.
func read(s Source, file string) ([]byte, error) {
	var text []byte
	var err error
	if file != "" {
		text, err = readFile(file, s.Bytes)
	} else {
		file = "the embedded text"
		text, err = inflate(s.Name)
	}
	if err != nil {
		return nil, err
	}
	if int64(len(text)) != s.Bytes {
		return nil, wrongLength(file, int64(len(text)), s.Bytes)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, fmt.Errorf("%s has SHA-256 %x, the job's text has %s: use the same file as the job's first machine", file, sum, s.SHA256)
	}
	return text, nil
}

// readFile reads a regular file of exactly size bytes. It compares the size
// before it allocates, so a wrong size costs nothing.
func readFile(file string, size int64) ([]byte, error) {
	f, info, err := openRegular(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() != size {
		return nil, wrongLength(file, info.Size(), size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return text, nil
}

func wrongLength(file string, got, want int64) error {
	return fmt.Errorf("%s has %d bytes, the job's text has %d: use the same file as the job's first machine", file, got, want)
}

// inflate returns the text of name that is within the program.
func inflate(name string) ([]byte, error) {
	packed, err := embedded.Open(name + ".txt.gz")
	if err != nil {
		return nil, fmt.Errorf("its text is not part of this program: name the file that holds it with --data %s=FILE", name)
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// openRegular opens a file that is neither a directory nor a device. It looks
// before it opens, because opening a pipe waits for its writer.
func openRegular(file string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a regular file", file)
	}
	f, err := os.Open(file)
	return f, info, err
}

// Source is what the corpus was opened as.
func (c *Corpus) Source() Source { return c.source }

// Check says whether the text is long enough: to train on one batch of windows
// of context+1 tokens each, and to evaluate on one such window.
func (c *Corpus) Check(context, batch int) error {
	window := context + 1
	if n := len(c.train) / window; n < batch {
		return fmt.Errorf("source %q: corpus smaller than one batch: its %d bytes to train on make %d windows of %d, a batch takes %d: use a longer text, or a smaller batch or context",
			c.source.Name, len(c.train), n, window, batch)
	}
	if c.ValidationCount(window) == 0 {
		return fmt.Errorf("source %q: its %d held-out bytes are fewer than one window of %d: use a longer text, or a smaller context",
			c.source.Name, len(c.held), window)
	}
	return nil
}

// ValidationCount is the number of disjoint held-out windows of window tokens.
func (c *Corpus) ValidationCount(window int) int { return len(c.held) / window }

// Validation fills dst with the i-th held-out window of len(dst) tokens, i below
// ValidationCount(len(dst)).
func (c *Corpus) Validation(dst []int32, i int) {
	from := i * len(dst)
	for j, b := range c.held[from : from+len(dst)] {
		dst[j] = int32(b)
	}
}
