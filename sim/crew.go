package sim

import "sync"

// crew trains rounds, a few at once, in the order they were given in.
type crew struct {
	group sync.WaitGroup
	work  chan *future
}

// future is the outcome of a round that may still be in training.
type future struct {
	do   func() (loss float64, err error)
	done chan struct{} // closed when loss and err are there
	loss float64
	err  error
}

// newCrew returns a crew of jobs goroutines for at most most rounds that nobody has
// waited for.
func newCrew(jobs, most int) *crew {
	c := &crew{work: make(chan *future, most)}
	for range jobs {
		c.group.Go(func() {
			for f := range c.work {
				f.loss, f.err = f.do()
				close(f.done)
			}
		})
	}
	return c
}

// start trains a round, soon.
func (c *crew) start(do func() (float64, error)) *future {
	f := &future{do: do, done: make(chan struct{})}
	c.work <- f
	return f
}

func (f *future) wait() (float64, error) {
	<-f.done
	return f.loss, f.err
}

// dismiss ends the crew once it has trained what it was given.
func (c *crew) dismiss() {
	close(c.work)
	c.group.Wait()
}
