package bulk

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"halos/wire"
)

// Verdicts on a message. None costs memory or changes a transfer.
var (
	// ErrGarbage does not parse: count it against its sender.
	ErrGarbage = errors.New("garbage")
	// ErrUnannounced is a chunk of a transfer that its sender has not announced,
	// or that waits for a slot and has no credit yet.
	ErrUnannounced = errors.New("transfer not announced")
	// ErrMismatch is a chunk whose count or length is not that of the transfer.
	ErrMismatch = errors.New("chunk does not fit its transfer")
	// ErrCredit is a chunk beyond the credit given.
	ErrCredit = errors.New("chunk beyond its credit")
	// ErrDuplicate is a chunk held already. Repairs make some.
	ErrDuplicate = errors.New("chunk held already")
	// ErrCorrupt is a chunk with a wrong checksum. It will be asked for again.
	ErrCorrupt = errors.New("chunk corrupt")
	// ErrTooLarge is an announced frame larger than any of the job.
	ErrTooLarge = errors.New("frame too large")
	// ErrBusy is an announce beyond what the receiver remembers: of one sender
	// MaxQueued, of senders maxPeers.
	ErrBusy = errors.New("too many announced")
)

// Faults that end a transfer.
var (
	// ErrStalled is a transfer without progress for GiveUpAfter.
	ErrStalled = errors.New("no progress")
	// ErrHash is a frame that differs from its announced SHA-256 each time.
	ErrHash = errors.New("SHA-256 is not the announced one")
)

const (
	maxPeers      = 4096
	maxMismatches = 2 // a frame is asked for again so many times
	minWindow     = 2 // chunks of credit of every transfer, whatever the budget
)

// Config bounds a Receiver.
type Config struct {
	MaxFrame    int           // largest acceptable frame, bytes
	SlotBudget  int           // bytes of slots over all transfers; less than one slot for MaxFrame counts as one
	ChunkBudget int           // chunks of credit out over all senders
	RepairAfter time.Duration // without progress until missing chunks are asked for; doubles while that does not help
	GiveUpAfter time.Duration // without progress until a transfer fails, or the slot of a dropped sender is freed
}

// Event is something the owner of a Receiver must act on. Exactly one of Send,
// Frame and Err is set.
type Event struct {
	Peer         string
	Send         *wire.ToClient // Credit or Missing, for the peer's ack stream; pointless once that has ended
	Session, Seq uint64         // of the frame or the failed transfer
	Frame        []byte         // complete and equal to its SHA-256; lent until Release
	Err          error          // the transfer failed: end the peer's ack stream, so that it starts over
}

// Receiver takes in the transfers of many senders. Each sender has one transfer
// in flight; further ones that it announced wait in order. All of them share two
// budgets, bytes of slots and chunks of credit, and nothing a peer says makes the
// receiver exceed them, except that every transfer has at least two chunks of
// credit.
//
// Time is the now of the calls, which need not be in order.
type Receiver struct {
	cfg   Config
	chunk int
	ready chan struct{}

	mu      sync.Mutex
	now     time.Time // latest seen
	slots   slots
	peers   map[string]*peer
	order   []*peer // as they came
	waiting []*peer // for a slot, longest first
	sending int     // transfers of live peers
	out     int     // chunks of credit out
	dirty   []*peer // a message is due
	events  []Event
}

// peer is a sender. It is live while its ack stream is; after that it is kept
// only for the slot it has begun to fill.
type peer struct {
	name    string
	live    bool
	dirty   bool
	queue   []offer
	active  *transfer
	last    offer // the latest frame handed out
	handed  bool
}
