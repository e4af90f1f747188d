// Package roles holds the three roles of a halos job as pure state machines:
// [Worker], [LPS] (a region's local parameter server) and [GPS] (the global one).
//
// Step folds one [Event] into a role and returns the [Action]s that follow. It does
// no I/O, reads no clock and starts no goroutine: the same events give the same
// bits. Time enters as [Tick]. Actions borrow the role's buffers; perform them
// before the next Step.
//
// Two mechanisms make up the roles. The server half takes deltas from clients: it
// decides each one once and in order, applies it, and says what is decided and what
// is durable. The client half produces deltas for a server: it names them, keeps
// them in an outbox until they are durable, and resends. A worker is a trainer and
// a client half, an LPS a server half and a client half, a GPS a server half.
//
// The messages between a client half and its server half are actions of the one and
// events of the other, so roles that share a node need no wire between them.
//
// Signs and formulas are those of HALoS (arXiv 2506.04531): a delta is the model a
// round started from minus the one it ended with, and a server subtracts it.
package roles
