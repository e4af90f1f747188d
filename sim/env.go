package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/goccy/go-yaml"

	"halos/job"
)

// Env is where a job's machines are: workers in regions, and the links between them.
type Env struct {
	Gbit    [][]float64 // [regions, regions] from one to another, on the diagonal within one, Gbit/s
	Latency [][]float64 // [regions, regions] of a transfer's first bit, ms; nil = none
	Speeds  [][]float64 // [regions, its workers] in any unit
}

// Bounds of an environment.
const (
	MaxEnvBytes = 16 << 20 // of the file that describes it
	maxRegions  = 4096
	maxWorkers  = 1 << 20
	minGbit     = 1e-9
	maxGbit     = 1e9
	maxLatency  = 1e9 // ms
	maxUnequal  = 1e9 // times that one worker is as fast as another
)

// PaperEnv is the main experiment of the HALoS paper: four regions of four workers
// (section 5.1; the figures are those of the authors' simulator).
func PaperEnv() Env {
	return Env{
		Gbit: [][]float64{
			{100, 0.537, 0.935, 0.202},
			{0.537, 100, 0.386, 0.117},
			{0.935, 0.386, 100, 0.127},
			{0.202, 0.117, 0.127, 100},
		},
		Speeds: [][]float64{
			{0.232, 0.907, 0.828, 0.347},
			{0.574, 0.531, 0.722, 0.194},
			{0.852, 0.132, 0.896, 0.107},
			{0.827, 0.515, 0.527, 0.788},
		},
	}
}

// envFile is how an environment is written. A number that is left out or null is 0.
type envFile struct {
	Regions   float64      `yaml:"num_regions"`
	Gbit      [][]float64  `yaml:"network_bandwidths"`
	LatencyMS [][]*float64 `yaml:"network_latencies_ms"` // where 0 is not the same as null
	Speeds    [][]float64  `yaml:"worker_speeds"`
}

// latency is NaN where the file has null.
func (f envFile) latency() [][]float64 {
	if f.LatencyMS == nil {
		return nil
	}
	rows := make([][]float64, len(f.LatencyMS))
	for r, row := range f.LatencyMS {
		for _, x := range row {
			if x == nil {
				rows[r] = append(rows[r], math.NaN())
				continue
			}
			rows[r] = append(rows[r], *x)
		}
	}
	return rows
}

// ParseEnv reads an environment as YAML:
//
//	num_regions: 2
//	network_bandwidths:          # Gbit/s, from the region of the row
//	  - [100.0, 0.5]
//	  - [0.5, 100.0]
//	network_latencies_ms:        # may be left out
//	  - [0.1, 40]
//	  - [40, 0.1]
//	worker_speeds:               # a row for each region, as long as it has workers
//	  - [1.0, 0.5]
//	  - [0.8]
//
// Its error names every fault by its field.
func ParseEnv(text []byte) (Env, error) {
	if len(text) > MaxEnvBytes {
		return Env{}, fmt.Errorf("environment of more than %d bytes", MaxEnvBytes)
	}
	if depth(text) > maxDepth {
		return Env{}, fmt.Errorf("environment: nested more than %d deep", maxDepth)
	}
	var f envFile
	in := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := in.Decode(&f); err != nil {
		return Env{}, fmt.Errorf("environment: %w", job.AtLine(err))
	}
	if err := in.Decode(new(any)); err != io.EOF {
		return Env{}, errors.New("environment: more than one document in the file, want one")
	}
	e := Env{Gbit: f.Gbit, Latency: f.latency(), Speeds: f.Speeds}
	if f.Regions != float64(len(f.Speeds)) {
		return Env{}, errors.Join(fmt.Errorf("num_regions: %v, but worker_speeds has %d rows: want one for each region", f.Regions, len(f.Speeds)), e.Validate())
	}
	return e, e.Validate()
}

// maxDepth bounds the nesting of an environment's file, where two is enough: the time
// to parse it grows faster than its depth.
const maxDepth = 16

// indent is what a level of nesting without brackets takes of a line, at most.
const indent = 4

// depth is how deep brackets are nested in text, or lists by the beginnings of lines.
func depth(text []byte) int {
	most, open := 0, 0
	for line := range bytes.Lines(text) {
		most = max(most, (len(line)-len(bytes.TrimLeft(line, " -")))/indent)
	}
	for _, c := range text {
		switch c {
		case '[', '{':
			open++
			most = max(most, open)
		case ']', '}':
			open--
		}
	}
	return most
}

// Validate joins all faults of e under the names of its file.
func (e Env) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	regions, workers := len(e.Speeds), 0
	slowest, fastest := math.Inf(1), 0.0
	if regions < 1 || regions > maxRegions {
		fault("worker_speeds: %d rows, want one for each region, 1 to %d", regions, maxRegions)
	}
	for r, speeds := range e.Speeds {
		workers += len(speeds)
		if len(speeds) == 0 {
			fault("worker_speeds[%d]: region %d has no workers: give it some, or leave it out", r, r)
		}
		for w, speed := range speeds {
			if !(speed > 0) || math.IsInf(speed, 0) {
				fault("worker_speeds[%d][%d]: %v, want a number above 0", r, w, speed)
				continue
			}
			slowest, fastest = min(slowest, speed), max(fastest, speed)
		}
	}
	if fastest/slowest > maxUnequal {
		fault("worker_speeds: from %g to %g, want at most %g between the slowest and the fastest", slowest, fastest, maxUnequal)
	}
	if workers > maxWorkers {
		fault("worker_speeds: %d workers, at most %d are simulated", workers, maxWorkers)
	}
	faults = append(faults, square("network_bandwidths", e.Gbit, regions, func(x float64) string {
		if x >= minGbit && x <= maxGbit {
			return ""
		}
		return fmt.Sprintf("%v, want Gbit/s from %g to %g (is it missing?)", x, minGbit, maxGbit)
	})...)
	if e.Latency != nil {
		faults = append(faults, square("network_latencies_ms", e.Latency, regions, func(x float64) string {
			if x >= 0 && x <= maxLatency {
				return ""
			}
			return fmt.Sprintf("%v, want milliseconds from 0 to %g", x, maxLatency)
		})...)
	}
	return errors.Join(faults...)
}

// square checks that a matrix has a row and a column for each region and lists the
// elements to which fault objects, the first few of them.
func square(name string, matrix [][]float64, regions int, fault func(float64) string) []error {
	const most = 8
	var faults []error
	if len(matrix) != regions {
		faults = append(faults, fmt.Errorf("%s: %d rows, want %d, one for each region", name, len(matrix), regions))
	}
	for r, row := range matrix {
		if len(row) != regions {
			faults = append(faults, fmt.Errorf("%s[%d]: %d numbers, want %d, one for each region", name, r, len(row), regions))
		}
		for c, x := range row {
			if text := fault(x); text != "" && len(faults) < most {
				faults = append(faults, fmt.Errorf("%s[%d][%d]: %s", name, r, c, text))
			}
		}
	}
	return faults
}

// size is how many workers there are.
func (e Env) size() int {
	n := 0
	for _, row := range e.Speeds {
		n += len(row)
	}
	return n
}

// processes counts the workers, an LPS for each region, and the GPS.
func (e Env) processes() int { return e.size() + len(e.Speeds) + 1 }

// workers lists the workers' regions and their speeds as shares of the fastest, in
// order of their ids.
func (e Env) workers() (regions []int, speeds []float64) {
	for r, row := range e.Speeds {
		for _, speed := range row {
			regions, speeds = append(regions, r), append(speeds, speed)
		}
	}
	fastest := slices.Max(speeds)
	for i := range speeds {
		speeds[i] /= fastest
	}
	return regions, speeds
}
