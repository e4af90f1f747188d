package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
)

// unknownCommand says that the command of c, or the program, has no such command.
func unknownCommand(c *urfave.Context) error {
	name := c.Args().First()
	var names []string
	for _, command := range c.Command.VisibleCommands() {
		names = append(names, command.Name)
	}
	if near := job.Nearest(name, names); near != "" {
		return usage(nameOf(c), fmt.Errorf("unknown command %q: did you mean %s %s?", name, c.Command.HelpName, near))
	}
	return usage(nameOf(c), fmt.Errorf("unknown command %q: there are %s", name, strings.Join(names, ", ")))
}

// nameOf is what calls the command of c, such as "bench train", and "" for the
// program itself.
func nameOf(c *urfave.Context) string {
	return strings.TrimLeft(strings.TrimPrefix(c.Command.HelpName, c.App.HelpName), " ")
}

// The messages of package flag, which has no types for them.
var (
	unknownFlag = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
	noValue     = regexp.MustCompile(`^flag needs an argument: -(.*)$`)
	badValue    = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-(\S+): (.*)$`)
)

// badFlag explains a flag that could not be parsed.
func (i *invocation) badFlag(c *urfave.Context, err error, _ bool) error {
	command, flags := nameOf(c), c.Command.Flags
	text := err.Error()
	if m := unknownFlag.FindStringSubmatch(text); m != nil {
		if near := job.Nearest(m[1], flagNames(flags)); near != "" {
			return usage(command, fmt.Errorf("unknown flag %s: did you mean %s?", dashed(m[1]), dashed(near)))
		}
		return usage(command, fmt.Errorf("unknown flag %s", dashed(m[1])))
	}
	if m := noValue.FindStringSubmatch(text); m != nil {
		return usage(command, fmt.Errorf("flag %s needs a value", dashed(m[1])))
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		return usage(command, fmt.Errorf("flag %s: %q is not %s", dashed(m[2]), m[1], kindOf(flags, m[2])))
	}
	return usage(command, err)
}

// kindOf says what the value of a flag must be.
func kindOf(flags []urfave.Flag, name string) string {
	switch flagOf(flags, name).(type) {
	case *urfave.DurationFlag:
		return "a time with its unit, such as 60s"
	case *urfave.IntFlag:
		return "a whole number"
	case *urfave.Uint64Flag:
		return "a whole number of 0 or more"
	case *urfave.Float64Flag:
		return "a number"
	case *urfave.BoolFlag:
		return "true or false"
	}
	return "a value it takes"
}

// arguments returns what follows the flags, at most limit of it. A flag among them
// was not parsed, so it is refused with the command line that would have worked.
// A lone argument where none is taken may be the value of the flag hint.
func (i *invocation) arguments(c *urfave.Context, limit int, hint string) ([]string, error) {
	args := c.Args().Slice()
	name := nameOf(c)
	if slices.ContainsFunc(args, isFlag) {
		return nil, usage(name, fmt.Errorf("flags must come before %q: %s", args[0], i.reordered(c)))
	}
	if len(args) <= limit {
		return args, nil
	}
	extra := args[limit]
	if hint != "" {
		return nil, usage(name, fmt.Errorf("unexpected %q: did you mean halos %s %s %s?", extra, name, dashed(hint), quoted(extra)))
	}
	return nil, usage(name, fmt.Errorf("unexpected %q: halos %s takes flags only", extra, name))
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// reordered is the command line with its flags before all else.
func (i *invocation) reordered(c *urfave.Context) string {
	var flags, others []string
	command := strings.Fields(nameOf(c))
	rest := i.args[min(1+len(command), len(i.args)):]
	for k := 0; k < len(rest); k++ {
		arg := rest[k]
		if !isFlag(arg) {
			others = append(others, quoted(arg))
			continue
		}
		flags = append(flags, quoted(arg))
		name, _, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		flag := flagOf(c.Command.Flags, name)
		if _, boolean := flag.(*urfave.BoolFlag); flag != nil && !boolean && !inline && k+1 < len(rest) {
			k++
			flags = append(flags, quoted(rest[k]))
		}
	}
	return strings.Join(slices.Concat([]string{"halos"}, command, flags, others), " ")
}

// quoted is arg as a shell takes it.
func quoted(arg string) string {
	if arg != "" && !strings.ContainsFunc(arg, func(r rune) bool {
		return !strings.ContainsRune("/.,:=_-+@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func flagOf(flags []urfave.Flag, name string) urfave.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func flagNames(flags []urfave.Flag) []string {
	var names []string
	for _, f := range flags {
		if v, ok := f.(urfave.VisibleFlag); ok && v.IsVisible() {
			names = append(names, f.Names()...)
		}
	}
	return names
}

// atLeast checks an integer flag.
func atLeast(c *urfave.Context, flag string, least int) error {
	if n := c.Int(flag); n < least {
		return fmt.Errorf("flag %s: %d is less than %d", dashed(flag), n, least)
	}
	return nil
}

// required says that a flag is empty and what belongs there.
func required(c *urfave.Context, flag, what string) error {
	if c.String(flag) == "" {
		return fmt.Errorf("flag %s is missing: %s", dashed(flag), what)
	}
	return nil
}

// together joins faults of the flags of the command of c.
func together(c *urfave.Context, errs ...error) error {
	return usage(nameOf(c), errors.Join(errs...))
}

func jsonFlag() urfave.Flag {
	return &urfave.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print JSON"}
}
