// Package optim holds the update rules of both ends of a job: AdamW with its
// learning-rate schedule and gradient clipping for the workers, delayed Nesterov
// for the servers.
//
// Parameters, gradients and optimizer state are flat float32 slices of one
// length n. An update makes one pass over them and allocates nothing.
package optim
