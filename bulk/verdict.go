package bulk

import "errors"

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
	// ErrHash is a frame whose chunks do not add up to its seal, each time.
	ErrHash = errors.New("it is not what was sealed")
	// ErrSlot is a slot that did not take what arrived, or gave it back wrong: the
	// sender is not to blame.
	ErrSlot = errors.New("slot")
)
