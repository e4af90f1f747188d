package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// MetricsFile is the name of the file of Records in a node's directory.
const MetricsFile = "metrics.jsonl"

const (
	// maxRecordBytes bounds one line: a push of the largest region names a few thousand ranges of samples.
	maxRecordBytes = 1 << 20
	// maxJournalBytes bounds what waits for a slow disk, hours of records of a node.
	maxJournalBytes = 8 << 20
	// journalPatience is for a few lines: a disk that takes longer is as good as full.
	journalPatience = 10 * time.Second
)

// journal appends Records to metrics.jsonl. A record is handed to the operating system by a goroutine as
// soon as the disk has taken the ones before it, so append never waits for the disk; past maxJournalBytes
// of backlog records are dropped and counted. What the disk refuses is kept and tried again with the next
// record. The first record that is lost is logged and returned by Close, as an error.
type journal struct {
	log  *slog.Logger
	file *os.File
	wake chan struct{} // one pending wake-up is enough: the writer takes all there is
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	pending []byte        // whole lines not yet written
	flushes []chan<- bool // to be told when pending is written; each has room for the answer
	closed  bool
	dropped uint64 // records
	stuck   error  // why the disk takes nothing at present, nil while it does
	err     error  // the first loss
}

// openJournal opens the metrics file of a node's directory for appending. A line that a killed process
// left half-written is cut off, so that the file is always whole lines.
func openJournal(dir string, log *slog.Logger) (*journal, error) {
	path := filepath.Join(dir, MetricsFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open metrics: %w", err)
	}
	if err := cutHalfLine(file); err != nil {
		return nil, errors.Join(fmt.Errorf("open metrics %s: %w", path, err), file.Close())
	}
	return newJournal(file, log), nil
}

// newJournal appends to file, which it owns from now on.
func newJournal(file *os.File, log *slog.Logger) *journal {
	j := &journal{log: log, file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go j.write()
	return j
}

// cutHalfLine truncates file after its last newline.
func cutHalfLine(file *os.File) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return err
	}
	tail := make([]byte, min(end, maxRecordBytes))
	start := end - int64(len(tail))
	if _, err := file.ReadAt(tail, start); err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(tail, '\n') + 1)
	if whole == 0 && start > 0 {
		return fmt.Errorf("no line ends in its last %d bytes: this is no metrics file, move it away", len(tail))
	}
	if start+whole == end {
		return nil
	}
	return file.Truncate(start + whole)
}

// append queues one record, with the present time where it has none. It is safe for concurrent use;
// after Close it drops the record.
func (j *journal) append(r Record) {
	if r.Time.IsZero() {
		r.Time = time.Now().UTC()
	}
	r.finite()
	line, err := json.Marshal(r)
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case err != nil:
		j.fail(fmt.Errorf("encode %s record: %w", r.Event, err))
	case j.closed || len(line) >= maxRecordBytes || len(j.pending)+len(line) > maxJournalBytes:
		j.dropped++
		if !j.closed {
			j.fail(fmt.Errorf("%s record of %d bytes dropped, %d bytes wait for the disk", r.Event, len(line), len(j.pending)))
		}
	default:
		j.pending = append(append(j.pending, line...), '\n')
		j.rouse()
	}
}

// fail keeps and logs the first error. The caller holds j.mu.
func (j *journal) fail(err error) {
	if j.err != nil {
		return
	}
	j.err = err
	j.log.Error("metrics are incomplete", "file", j.file.Name(), "err", err)
}

// flush waits until the operating system has every record appended before, so that they survive this
// process however it ends. It reports false where the writer fails, has ended or takes longer than patience.
func (j *journal) flush(patience time.Duration) bool {
	written := make(chan bool, 1)
	j.mu.Lock()
	if !j.closed {
		j.flushes = append(j.flushes, written)
		j.rouse()
	}
	j.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case ok := <-written:
		return ok
	case <-j.done:
		return false
	case <-late.C:
		return false
	}
}

// rouse wakes the writer. The caller holds j.mu, and j.wake is open.
func (j *journal) rouse() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// write moves pending lines to the file until the journal is closed. What the file did not take goes
// first at the next wake-up, so a line is never interrupted by another.
func (j *journal) write() {
	defer close(j.done)
	var batch []byte
	for range j.wake {
		for {
			var flushes []chan<- bool
			if len(batch) == 0 {
				j.mu.Lock()
				batch, j.pending = j.pending, batch
				flushes, j.flushes = j.flushes, nil
				j.mu.Unlock()
			}
			if len(batch) == 0 {
				answer(flushes, true)
				break
			}
			n, err := j.file.Write(batch)
			batch = batch[:copy(batch, batch[n:])]
			answer(flushes, err == nil)
			if err != nil {
				j.stall(err)
				break
			}
			j.resume()
		}
	}
	if len(batch) > 0 {
		j.mu.Lock()
		j.fail(fmt.Errorf("%d bytes of records not written: %w", len(batch)+len(j.pending), j.stuck))
		j.mu.Unlock()
	}
}

// stall notes that the disk took nothing. Nobody waits for it meanwhile.
func (j *journal) stall(err error) {
	j.mu.Lock()
	flushes := j.flushes
	j.flushes = nil
	first := j.stuck == nil
	j.stuck = err
	j.mu.Unlock()
	answer(flushes, false)
	if first {
		j.log.Warn("records wait for the disk", "file", j.file.Name(), "err", err)
	}
}

// resume notes that the disk takes records.
func (j *journal) resume() {
	j.mu.Lock()
	was := j.stuck
	j.stuck = nil
	j.mu.Unlock()
	if was != nil {
		j.log.Info("the disk takes records again", "file", j.file.Name())
	}
}

func answer(flushes []chan<- bool, written bool) {
	for _, f := range flushes {
		f <- written
	}
}

// Close writes what is pending and closes the file. It returns the first loss of the journal's life.
func (j *journal) Close() error {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		j.rouse()
		close(j.wake)
	}
	j.mu.Unlock()
	<-j.done
	err := j.file.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return fmt.Errorf("metrics, %d records dropped: %w", j.dropped, j.err)
	}
	return err
}
