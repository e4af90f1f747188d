// Package tensor holds the float32 arithmetic of halos: vectors, matrix
// products and the layers of a transformer, all on flat slices.
//
// Rules that every function keeps:
//
//   - The destination comes first. Slices of different lengths are a bug of the
//     caller and panic; nothing read from a file or a peer may reach that.
//   - Nothing is allocated per call.
//   - Slices may alias only where the function says so.
//   - Each XxxGrad follows its Xxx. Gradients of parameters are added to what the
//     slice holds, so that one slice gathers several batches.
//   - The same call on the same machine gives the same bits: no sum depends on
//     scheduling, on addresses or on a map's order.
//
// The heavy loops sit in one table of kernels that is chosen once at start, see
// Kernel.
package tensor
