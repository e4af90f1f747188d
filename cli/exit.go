package cli

import (
	"context"
	"errors"
	"fmt"

	"halos/job"
	"halos/node"
	"halos/testnet"
	"halos/train"
)

// Exit codes. Code 6, not authorised, is for jobs that admit members only.
const (
	codeOK          = 0
	codeFailed      = 1
	codeUsage       = 2
	codeUnreachable = 3
	codeMismatch    = 4
	codeDiverged    = 5
	codeInterrupted = 130
)

// errInterrupted says that a request to end cut the work short.
var errInterrupted = errors.New("interrupted")

// usageError is a fault of the command line itself.
type usageError struct {
	command string // whose --help explains it; "" is the program's
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage makes err a fault of the flags of command; nil stays nil.
func usage(command string, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{command, err}
}

// report tells the user how a command ended and returns the exit code.
func (i *invocation) report(ctx context.Context, err error) int {
	if err == nil {
		return codeOK
	}
	if context.Cause(ctx) == errInterrupted && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	fmt.Fprintf(i.Err, "halos: %v\n", err)
	var u *usageError
	if errors.As(err, &u) {
		help := "halos --help"
		if u.command != "" {
			help = "halos " + u.command + " --help"
		}
		fmt.Fprintf(i.Err, "%q explains the flags.\n", help)
	}
	return codeOf(err)
}

// codeOf maps an error to the exit code that scripts see.
func codeOf(err error) int {
	var u *usageError
	var child *testnet.ExitError
	switch {
	case errors.Is(err, errInterrupted), errors.Is(err, testnet.ErrAborted):
		return codeInterrupted
	case errors.Is(err, job.ErrFormat), errors.Is(err, node.ErrMismatch):
		return codeMismatch
	case errors.As(err, &u), errors.Is(err, node.ErrUsage):
		return codeUsage
	case errors.Is(err, node.ErrUnreachable), errors.Is(err, node.ErrNotRunning):
		return codeUnreachable
	case errors.Is(err, node.ErrDiverged), errors.Is(err, train.ErrDiverged):
		return codeDiverged
	case errors.As(err, &child) && child.Code > codeUsage && child.Code < codeInterrupted:
		return child.Code
	}
	return codeFailed
}
