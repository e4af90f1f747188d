// Package bulk moves frames reliably over a channel that loses messages, in
// chunks, with feedback over a second channel that does not: deltas over a
// pubsub topic with feedback on the ack stream, models over a stream of their own.
//
//	Sender                                                Receiver
//	Offer, Reset      -- Announce (stream)          ->  Announce       a slot is reserved
//	Credit           <-  Credit (stream)            --  Events         from one budget over all senders; acknowledges
//	Next              -- chunk (topic)              ->  Chunk          checked and kept in memory
//	                                                    Work           put into the slot
//	Missing          <-  Missing (stream)           --  Tick, Events   what did not arrive in time
//	Seal              -- Seal (stream)              ->  Seal           the checksum of all, once the sender knows it
//	                                                    Take           the whole frame, once it is as sealed
//	Forget           <-  Marks (stream)             --                 what the receiver's owner decided
//
// Both ends are state machines without clock or goroutine of their own; what reads
// and writes frames is handed in. Any goroutine may call them; each holds one mutex
// for no longer than it takes to look a chunk up. Frames are read and written
// without it.
//
// Chunks of one transfer go out in order, never beyond the credit given nor beyond
// the sender's window (pace.go). Every bit of a Missing tells the truth: set, the
// receiver lacks that chunk; clear, it holds it. So one message asks for repairs and
// resumes a transfer after a lost connection.
package bulk

// MaxQueued is how many announced transfers of one sender a Receiver remembers.
// A client keeps fewer offers than that unforgotten.
const MaxQueued = 256
