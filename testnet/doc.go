// Package testnet runs a whole job on one machine: a process of this binary for
// every node, in regions that are joined by emulated links.
//
// Region R listens on 127.0.R.1. A process dials through a Dialer, which knows by
// the other end's address whether the connection leaves the region; if so, its
// bytes pass the Link:
//
//	Write -> pipe: lane (rate and loss, shared) -> delay -> socket
//	Read  <- pipe: delay <- lane (rate and loss, shared) <- socket
//
// With Config.Netns, region R is a network namespace with the address 10.77.R.1 on a
// wan.Network of the parent's, and the processes' connections are the kernel's own.
//
// The parent starts the processes in the order GPS, LPSs, workers and ends them
// in the reverse one. It learns everything from their metrics.jsonl: Tally reads
// them, draws what is shown and recomputes, by the names of the deltas, what was
// lost or applied twice.
package testnet
