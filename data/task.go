package data

// Task is what a worker is given to do: Steps local steps over the samples of
// one interval, in order and in equal shares.
//
// First is the number of schedule steps that precede the task, so local step i
// (from 0) trains at the learning rate of schedule step First+i+1.
type Task struct {
	Samples Interval `json:"samples"`
	Steps   int      `json:"steps"`
	First   uint64   `json:"first"`
}
