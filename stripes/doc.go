// Package stripes carries one connection over several TCP sockets.
//
// A congestion control that takes each lost packet for a full link, as cubic and reno do, gets little out of a
// long link that loses some: 1.7 of 100 Mbit/s at 100 ms and 1 %. Of several sockets the one that loses a
// packet slows down, and the others go on, so they get more together: it is what can be done where the kernel
// has no better control.
//
// The ends agree on it below whatever they speak. A dialler sends
//
//	greeting  "halos" | version u8 1 | kind u8 | sockets u8 | id [16]
//
// first on each socket. One of kind 0 opens a connection, and says over how many sockets the dialler wants it to
// go; one of kind 1 joins it, by its id, which is random. The listener answers
//
//	answer    sockets u8
//
// those that open with the greater of both ends' wishes, those that join when it takes them. At 1 the socket that
// opens then carries bytes as if nothing had been said. Else it and those that join carry, in both directions,
//
//	segment   seq u64 | length u16 | payload [length]
//
// little-endian; seq counts from 0 over all sockets and rises on each. A length of 0 ends a direction on each
// socket, with the number of its segments for seq.
package stripes
