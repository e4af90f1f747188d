package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"
)

// seal is what a snapshot says of one of its files: SHA256SUMS of the whole, which
// decides whether it is good, and CRC32C of its blocks, which says where it is not.
type seal struct {
	sum    string  // SHA-256 in hex; none: the file is not compared
	blocks []block // one after the other; none: of an empty file, or no CRC32C
}

// block is a piece of a file.
type block struct {
	first, length int64 // in bytes
	crc           uint32
}

// blockLen is the length in bytes of the blocks that Save writes, all but the last of
// a file: 270 lines of CRC32C describe a state of 1.1 GB.
const blockLen = 4 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// size is how long a file with these blocks is.
func (s seal) size() int64 {
	if len(s.blocks) == 0 {
		return 0
	}
	last := s.blocks[len(s.blocks)-1]
	return last.first + last.length
}

// digest makes the seal of what is written to it, in one pass.
type digest struct {
	length int64 // of its blocks
	sha    hash.Hash
	made   seal // but for the SHA-256
}

func newDigest(length int64) *digest { return &digest{length: length, sha: sha256.New()} }

// like returns a digest whose blocks can be compared with those of s.
func (s seal) like() *digest {
	if len(s.blocks) == 0 {
		return newDigest(blockLen)
	}
	return newDigest(s.blocks[0].length)
}

// Write never fails.
func (d *digest) Write(p []byte) (int, error) {
	d.sha.Write(p)
	for rest := p; len(rest) > 0; {
		if size := d.made.size(); size == int64(len(d.made.blocks))*d.length {
			d.made.blocks = append(d.made.blocks, block{first: size})
		}
		last := &d.made.blocks[len(d.made.blocks)-1]
		n := min(int64(len(rest)), d.length-last.length)
		last.crc = crc32.Update(last.crc, castagnoli, rest[:n])
		last.length += n
		rest = rest[n:]
	}
	return len(p), nil
}

func (d *digest) seal() seal {
	return seal{hex.EncodeToString(d.sha.Sum(nil)), d.made.blocks}
}

// compare says what is wrong with a file that has the seal got, and as exactly as the
// blocks allow where.
func (s seal) compare(got seal) error {
	if s.sum == "" || s.sum == got.sum {
		return nil
	}
	if len(s.blocks) == 0 {
		return fmt.Errorf("SHA-256 is %s, %s says %s: truncated or damaged", got.sum, sumsFile, s.sum)
	}
	damaged := s.damage(got)
	where := "damaged in bytes " + ranges(damaged)
	switch {
	case got.size() != s.size() && len(damaged) > 0:
		return fmt.Errorf("has %d bytes, was written with %d: %s", got.size(), s.size(), where)
	case got.size() != s.size():
		return fmt.Errorf("has %d bytes, was written with %d", got.size(), s.size())
	case len(damaged) > 0:
		return fmt.Errorf("%s of %d", where, s.size())
	}
	return fmt.Errorf("agrees with %s, but SHA-256 is %s, %s says %s: that is damaged", blocksFile, got.sum, sumsFile, s.sum)
}

// damage returns the blocks that got lacks or has otherwise, neighbours as one.
func (s seal) damage(got seal) (damaged []block) {
	for i, b := range s.blocks {
		if i < len(got.blocks) && got.blocks[i] == b {
			continue
		}
		if last := len(damaged) - 1; last >= 0 && damaged[last].first+damaged[last].length == b.first {
			damaged[last].length += b.length
			continue
		}
		damaged = append(damaged, b)
	}
	return damaged
}

// maxRanges bounds how many places an error names.
const maxRanges = 8

// ranges lists the first and last bytes of blocks.
func ranges(blocks []block) string {
	var list []string
	for _, b := range blocks[:min(len(blocks), maxRanges)] {
		list = append(list, fmt.Sprintf("%d-%d", b.first, b.first+b.length-1))
	}
	if more := len(blocks) - maxRanges; more > 0 {
		list = append(list, fmt.Sprintf("%d places more", more))
	}
	return strings.Join(list, ", ")
}

// sealing hands on what it reads and adds it to a digest; an error of the disk it
// tells apart by where in the file it came.
type sealing struct {
	file   io.Reader
	digest *digest
}

func (s sealing) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	at := s.digest.made.size()
	if _, failed := s.digest.Write(p[:n]); failed != nil {
		return n, failed
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("at byte %d: %w", at+int64(n), err)
	}
	return n, err
}
