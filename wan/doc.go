// Package wan emulates the wide-area links between regions.
//
// A Link has a rate, a round-trip time, a loss and a queue; Links say which pair of
// regions has which. A Network (Linux, root) puts them under the kernel's own TCP and
// UDP: each region is a network namespace without a name, whose one device is a TUN
// that this process holds. The packets of a region pass, for each other region,
//
//	TUN -> reader -> direction: cut? -> queue -> rate -> loss -> half a round trip -> TUN
//
// where all but the last step is arithmetic at the packet's arrival, so that neither
// rate nor order depends on timers; one goroutine per direction then waits until
// packets are due and writes them. Whatever a Network has made ends with its process.
package wan
