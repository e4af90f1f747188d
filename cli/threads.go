package cli

import (
	"cmp"
	"fmt"
	"runtime"

	urfave "github.com/urfave/cli/v2"

	"halos/tensor"
)

// maxThreads bounds what a slip in a number may ask for: each thread has buffers.
const maxThreads = 1024

func threadsFlag() urfave.Flag {
	return &urfave.IntFlag{Name: "threads", EnvVars: []string{"HALOS_THREADS"}, DefaultText: "all", Usage: "compute on `N` cores"}
}

func checkThreads(c *urfave.Context) error {
	if n := c.Int("threads"); n > maxThreads {
		return fmt.Errorf("flag --threads: %d is more than %d", n, maxThreads)
	}
	return atLeast(c, "threads", 0)
}

// newPool makes the threads of a command that is no node.
func newPool(c *urfave.Context) *tensor.Pool {
	return tensor.NewPool(cmp.Or(c.Int("threads"), runtime.GOMAXPROCS(0)))
}
