package node

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Tail follows a metrics.jsonl file while a node writes it.
type Tail struct {
	Path string

	offset int64 // everything before it has been returned, or was no record
}

// Read returns the records of the lines that were completed since the last call, oldest first. A last
// line without its newline is left for a later call, and a file that does not exist yet has no records.
// A line that is no record is skipped; the first such is returned as an error beside the good records.
func (t *Tail) Read() ([]Record, error) {
	file, err := os.Open(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer file.Close()
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	if end < t.offset {
		return nil, fmt.Errorf("read metrics %s: %d bytes long, %d were read before: it was replaced", t.Path, end, t.offset)
	}
	unread := io.NewSectionReader(file, t.offset, end-t.offset)
	return t.records(bufio.NewReaderSize(unread, int(min(end-t.offset+1, maxRecordBytes))))
}

// records parses whole lines up to the end of r.
func (t *Tail) records(r *bufio.Reader) (records []Record, bad error) {
	for {
		line, err := r.ReadSlice('\n')
		if err == io.EOF {
			return records, bad
		}
		if err != nil {
			return records, errors.Join(bad, fmt.Errorf("read metrics %s at byte %d: %w", t.Path, t.offset, err))
		}
		var record Record
		if err := json.Unmarshal(line, &record); err == nil {
			records = append(records, record)
		} else if bad == nil {
			bad = fmt.Errorf("read metrics %s at byte %d: %w", t.Path, t.offset, err)
		}
		t.offset += int64(len(line))
	}
}
