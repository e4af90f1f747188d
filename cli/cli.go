// Package cli is the command line: a file per command. It turns flags into the
// settings of the packages that do the work, and what they return into text, JSON
// and an exit code.
//
// Data goes to stdout, logs and errors go to stderr.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/tensor"
	"halos/testnet"
)

// abortGrace is how long a command may take to end after a second interrupt: a
// testnet kills its processes in that time. Then the program ends anyway.
const abortGrace = 8 * time.Second

// Program is halos with its surroundings.
type Program struct {
	In      io.Reader
	Out     io.Writer        // data
	Err     io.Writer        // logs and errors
	Signals <-chan os.Signal // requests to end: the first drains, the second aborts; nil if none can come
}

// Main runs the program of this process and returns its exit code.
func Main() int {
	signals := make(chan os.Signal, 3) // as many as make a difference
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return Program{os.Stdin, os.Stdout, os.Stderr, signals}.Run(context.Background(), os.Args)
}

// invocation is one run of the program.
type invocation struct {
	Program
	args    []string
	aborted chan struct{} // closed when whatever runs must end at once
	abort   chan struct{} // takes the request to do so from within

	links *testnet.Dialer // of a process of a testnet, nil for any other
}

// Run runs the command that args name, the program's own name first, and returns
// the exit code. It does not wait for a command that ignores two interrupts.
func (p Program) Run(ctx context.Context, args []string) int {
	i := &invocation{Program: p, args: rewrite(args), aborted: make(chan struct{}), abort: make(chan struct{}, 1)}
	ctx, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	ended := make(chan error, 1)
	go func() { ended <- i.app().RunContext(ctx, i.args) }()

	var limit <-chan time.Time
	end := func() {
		interrupt(errInterrupted)
		if limit == nil {
			close(i.aborted)
			limit = time.After(abortGrace)
		}
	}
	for interrupts := 0; ; {
		select {
		case err := <-ended:
			return i.report(ctx, err)
		case <-p.Signals:
			switch interrupts++; interrupts {
			case 1:
				interrupt(errInterrupted)
			case 2:
				end()
			default:
				return codeInterrupted
			}
		case <-i.abort:
			end()
		case <-limit:
			fmt.Fprintln(p.Err, "halos: still busy after the request to abort, ended all the same")
			return codeInterrupted
		}
	}
}

// rewrite turns the usual ways to ask for help and version into ours.
func rewrite(args []string) []string {
	switch {
	case len(args) == 2 && (args[1] == "--version" || args[1] == "-v"):
		return []string{args[0], "version"}
	case len(args) == 2 && args[1] == "help":
		return []string{args[0], "--help"}
	case len(args) > 2 && args[1] == "help":
		return slices.Concat(args[:1], args[2:], []string{"--help"})
	}
	return args
}

func (i *invocation) app() *urfave.App {
	app := &urfave.App{
		Name:      "halos",
		Usage:     "train one language model on machines in different places",
		UsageText: "halos COMMAND [flags] [address]        flags come before an address",
		Description: `Watch a whole job of two regions on this machine, then let its model write:

    halos testnet --dir demo
    halos generate --checkpoint demo -p "It is a truth"

Train on machines of your own. The first one prints the line for the others:

    halos run                                        on the first
    halos join --region us /ip4/.../tcp/.../p2p/...  on each other

Then look at what it does, and at what the model has learnt:

    halos status
    halos eval --checkpoint halos-node

The fastest compute kernels that this machine has are used, halos version names
them; HALOS_KERNEL=generic in the environment forces those that run everywhere.

Exit codes: 0 ok, 1 failed, 2 usage, 3 job not reachable, 4 manifest or
protocol mismatch, 5 diverged, 6 not authorised, 130 interrupted.`,
		Commands: []*urfave.Command{
			i.testnetCommand(), i.initCommand(), i.runCommand(), i.joinCommand(), i.statusCommand(),
			i.generateCommand(), i.evalCommand(), i.simCommand(), i.benchCommand(), i.versionCommand(),
		},
		Reader:                    i.In,
		Writer:                    i.Out,
		ErrWriter:                 i.Err,
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		OnUsageError:              i.badFlag,
		ExitErrHandler:            func(*urfave.Context, error) {}, // Run maps errors
		Before:                    func(*urfave.Context) error { return usage("", tensor.KernelError()) },
		Action: func(c *urfave.Context) error {
			if !c.Args().Present() {
				return urfave.ShowAppHelp(c)
			}
			return unknownCommand(c)
		},
	}
	for _, c := range app.Commands {
		c.HideHelpCommand = true
		c.OnUsageError = i.badFlag
	}
	return app
}
