package sim

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// saveEvery is how often a run that goes on is kept.
const saveEvery = 5 * time.Minute

// Store keeps a study in a directory, so that it can be stopped and resumed: results
// of runs that have ended, and the state of the one under way.
type Store struct{ Dir string }

// open makes the directory that of the study with the given settings, or refuses
// another's.
func (s *Store) open(settings any) error {
	want, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(s.Dir, "study.json")
	switch had, err := os.ReadFile(file); {
	case errors.Is(err, fs.ErrNotExist):
		return s.write(file, func(f *os.File) error { _, err := f.Write(want); return err })
	case err != nil:
		return err
	case string(had) != string(want):
		return fmt.Errorf("%s holds a simulation with other settings, see %s: resume it with its own, or keep this one in another directory", s.Dir, file)
	}
	return nil
}

// run runs c, from where it was left if it was. name tells it from the other runs.
func (s *Store) run(ctx context.Context, name string, c Config, learner *Texts, initial []float32) (Result, error) {
	ended, under := filepath.Join(s.Dir, name+".json"), filepath.Join(s.Dir, name+".state")
	var res Result
	if text, err := os.ReadFile(ended); err == nil {
		err := json.Unmarshal(text, &res)
		if err == nil && (res.Algo != c.Algo || len(res.Curve) == 0) {
			err = fmt.Errorf("not the result of a run of %s", c.Algo)
		}
		if err != nil {
			return res, fmt.Errorf("%s: %w: remove it to run that again", ended, err)
		}
		return res, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return res, err
	}
	// The rounds in training when ctx ends are part of the state.
	r := newRun(context.WithoutCancel(ctx), c, learner, initial)
	defer r.dismiss()
	begun, err := s.resume(r, under, learner)
	if err != nil {
		return res, err
	}
	if !begun {
		err = r.begin()
	}
	for next := time.Now().Add(saveEvery); err == nil && !r.ended; {
		if stop := ctx.Err(); stop != nil {
			if err = s.keep(r, under, learner); err == nil {
				return r.result(), stop
			}
			break
		}
		if time.Now().After(next) {
			_ = s.keep(r, under, learner) // no reason to end a run: it is tried again, and at a stop it counts
			next = time.Now().Add(saveEvery)
		}
		err = r.event()
	}
	if res, err = r.outcome(err); err != nil {
		return res, err
	}
	err = s.write(ended, func(f *os.File) error { return json.NewEncoder(f).Encode(res) })
	if err == nil {
		if err = os.Remove(under); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return res, err
}

// resume restores r from the file of its state, if there is one.
func (s *Store) resume(r *run, file string, learner *Texts) (bool, error) {
	m, lasts := r.method.(lasting)
	if !lasts {
		return false, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	saved, err := decodeState(text)
	if err == nil {
		err = r.restore(m, saved, learner)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w: remove it to run that again from the start", file, err)
	}
	return true, nil
}

// decodeState reads what keep has written: a state as gob, and its SHA-256.
func decodeState(text []byte) (state, error) {
	var s state
	at := len(text) - sha256.Size
	if at < 0 || sha256.Sum256(text[:at]) != [sha256.Size]byte(text[at:]) {
		return s, errors.New("damaged")
	}
	err := gob.NewDecoder(bytes.NewReader(text)).Decode(&s)
	return s, err
}

// keep writes the state of r if that can be resumed.
func (s *Store) keep(r *run, file string, learner *Texts) error {
	m, lasts := r.method.(lasting)
	if !lasts {
		return nil
	}
	saved, err := r.state(m, learner)
	if err != nil {
		return err
	}
	return s.write(file, func(f *os.File) error {
		w, sum := bufio.NewWriter(f), sha256.New()
		if err := gob.NewEncoder(io.MultiWriter(w, sum)).Encode(saved); err != nil {
			return err
		}
		_, err := w.Write(sum.Sum(nil))
		return errors.Join(err, w.Flush())
	})
}

// write replaces a file by another or leaves it as it is.
func (s *Store) write(file string, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(s.Dir, ".new-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("keep %s: %w", file, err), os.Remove(f.Name()))
	}
	return err
}
