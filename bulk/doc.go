// Package bulk moves frames reliably over a channel that loses messages, in
// chunks, with feedback over a second channel that does not: deltas over a
// pubsub topic, feedback on the ack stream.
//
//	client                                          server
//	Sender.Offer        -- Announce (ack stream) -> Receiver.Announce    a slot is reserved
//	Sender.Credit      <- Credit (ack stream) --    Receiver.Events      from one budget over all clients
//	Sender.Next         -- chunk (delta topic) ->   Receiver.Chunk       checked, copied into the slot, hashed
//	Sender.Missing     <- Missing (ack stream) --   Receiver.Tick        what did not arrive in time
//	                                                Receiver.Events      the whole frame, once its SHA-256 matches
//	Sender.Forget      <- Marks (ack stream) --                          what the server decided
//
// Both ends are state machines without I/O, clock or goroutine of their own. Any
// goroutine may call them; each holds one mutex for no longer than it takes to
// copy a chunk and its checksum.
//
// Chunks of one transfer go out in order and never beyond the credit given.
// Every bit of a Missing tells the truth: set, the receiver lacks that chunk;
// clear, it holds it. So one message asks for repairs and resumes a transfer
// after a lost connection.
package bulk

// MaxQueued is how many announced transfers of one sender a Receiver remembers.
// A client keeps fewer offers than that unforgotten.
const MaxQueued = 256
