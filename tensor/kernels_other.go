//go:build !amd64

package tensor

// available lists the sets that this machine can run, the fastest last.
func available() []*kernels { return []*kernels{&generic} }
