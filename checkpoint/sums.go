package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// appendSum adds a file's line of SHA256SUMS.
func (s seal) appendSum(dst []byte, name string) []byte {
	return fmt.Appendf(dst, "%s  %s\n", s.sum, name)
}

const blockLine = "%08x  %d  %d  %s\n" // of CRC32C: CRC, first byte, length, file

// appendBlocks adds a file's lines of CRC32C.
func (s seal) appendBlocks(dst []byte, name string) []byte {
	for _, b := range s.blocks {
		dst = fmt.Appendf(dst, blockLine, b.crc, b.first, b.length, name)
	}
	return dst
}

// readSeals reads the seals of a folder's files. It refuses a SHA256SUMS that does not
// name all of them; only CRC32C may be missing, from both, as older snapshots have none.
func readSeals(d disk, folder string) (map[string]seal, error) {
	text, err := readText(d, filepath.Join(folder, sumsFile), seal{})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("not a complete snapshot: %w", err)
	}
	if err != nil {
		return nil, err
	}
	seals := parseSums(string(text))
	needed := []string{configFile, modelFile, vectorFile, stateFile, jobFile}
	if _, err := d.Lstat(filepath.Join(folder, blocksFile)); err == nil {
		needed = append(needed, blocksFile)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range needed {
		if seals[name].sum == "" {
			return nil, fmt.Errorf("%s does not name %s: truncated or damaged", sumsFile, name)
		}
	}
	if seals[blocksFile].sum == "" {
		return seals, nil
	}
	if text, err = readText(d, filepath.Join(folder, blocksFile), seals[blocksFile]); err != nil {
		return nil, err
	}
	if err := parseBlocks(string(text), seals); err != nil {
		return nil, fmt.Errorf("%s: %w", blocksFile, err)
	}
	return seals, nil
}

// parseSums reads SHA256SUMS, the file that sha256sum -c takes.
func parseSums(text string) map[string]seal {
	seals := map[string]seal{}
	for line := range strings.Lines(text) {
		if sum, name, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "  "); ok {
			seals[name] = seal{sum: sum}
		}
	}
	return seals
}

// parseBlocks adds to seals what CRC32C says. Each file's blocks come in order,
// without a gap and of one length but the last, which may be shorter.
func parseBlocks(text string, seals map[string]seal) error {
	for line := range strings.Lines(text) {
		var b block
		var name string
		if _, err := fmt.Sscanf(line, blockLine, &b.crc, &b.first, &b.length, &name); err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		s := seals[name]
		full := b.length
		if len(s.blocks) > 0 {
			full = s.blocks[0].length
		}
		if b.length <= 0 || b.length > full || b.first != int64(len(s.blocks))*full || b.first != s.size() {
			return fmt.Errorf("line %q does not go on where byte %d of %s ended", line, s.size(), name)
		}
		s.blocks = append(s.blocks, b)
		seals[name] = s
	}
	return nil
}
