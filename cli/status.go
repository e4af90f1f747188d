package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	urfave "github.com/urfave/cli/v2"

	"halos/node"
)

func (i *invocation) statusCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "status",
		Usage:     "ask a running node what it does",
		UsageText: "halos status [--dir DIR] [--json]",
		Description: `Asks the node that runs in DIR on this machine: its roles and region, the model
versions, what is decided and durable, loss, tokens per second, bytes sent, peers.
All that happened is in metrics.jsonl of the same directory.

    halos status
    halos status --dir halos-us --json`,
		Flags: []urfave.Flag{
			&urfave.StringFlag{Name: "dir", Value: runDir, EnvVars: []string{"HALOS_DIR"}, Usage: "ask the node in `DIR`"},
			&urfave.BoolFlag{Name: "json", DisableDefaultText: true, Usage: "print JSON (schema " + node.StatusSchema + ")"},
		},
		Action: func(c *urfave.Context) error {
			if _, err := i.arguments(c, 0, "dir"); err != nil {
				return err
			}
			s, err := node.ReadStatus(c.Context, c.String("dir"))
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(i.Out, s)
			}
			return printStatus(i.Out, s)
		},
	}
}

// printStatus prints s for people: a line per part of the node, then its peers.
func printStatus(w io.Writer, s node.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("job", "%s", s.Job)
	row("node", "%s", s.Peer)
	row("place", "region %s, %s, up %s", s.Region, strings.Join(s.Roles, " "), time.Duration(s.Uptime*1e9).Round(time.Second))
	if l := s.LPS; l != nil {
		alarm(row, "lps", l.Alarm)
	}
	if g := s.GPS; g != nil {
		alarm(row, "gps", g.Alarm)
	}
	if w := s.Worker; w != nil {
		row("worker", "%s, loss %.3f, %.0f tokens/s, blocked %.0f %%", w.State, w.Loss, w.TokensPerSecond, 100*w.Blocked)
		row("", "steps %d, tokens %d, from model %d", w.Steps, w.Tokens, w.BaseVersion)
		row("", "deltas %d, decided %d, durable %d, in outbox %d", w.Seq, w.Decided, w.Durable, w.Outbox)
	}
	if l := s.LPS; l != nil {
		row("lps", "model %d, merged at %d with global %d, workers %d", l.Version, l.MergedVersion, l.GlobalVersion, l.Workers)
		row("", "pushes %d, decided %d, durable %d, since then %d updates", l.Pushes, l.Decided, l.Durable, l.UpdatesSincePush)
		row("", "samples %d handed out, %d in the model", l.Leased, l.Committed)
	}
	if g := s.GPS; g != nil {
		row("gps", "model %d, regions %d, validation loss %s", g.Version, g.Regions, lossOr(g.ValLoss, "not measured yet"))
		row("", "samples %d of %d (%.1f %%)", g.Committed, g.Total, 100*float64(g.Committed)/float64(max(1, g.Total)))
	}
	row("sent", "wan %s, lan %s, deltas published %s, within the process %s", size(s.Bytes.WAN), size(s.Bytes.LAN), size(s.Bytes.Topic), size(s.Bytes.Local))
	if s.Dropped > 0 {
		row("dropped", "%d messages", s.Dropped)
	}
	for _, a := range s.Addrs {
		row("address", "%s", a)
	}
	for _, p := range s.Peers {
		row("peer", "%s, region %s, %s%s%s", p.ID, p.Region, strings.Join(p.Roles, " "),
			map[bool]string{false: ", not connected"}[p.Connected], standing(p))
	}
	return t.Flush()
}

// alarm prints why nothing of a server becomes durable, if that is so.
func alarm(row func(name, format string, args ...any), server string, a *node.AlarmStatus) {
	if a == nil {
		return
	}
	row("ALARM", "%s: snapshots fail since %s, %d attempts: %s", server, time.Duration(a.Since*1e9).Round(time.Second), a.Failed, a.Reason)
	row("", "model %d stays durable; training goes on, deltas stay with their senders until a snapshot succeeds", a.Durable)
}

func lossOr(loss float64, none string) string {
	if loss == 0 {
		return none
	}
	return fmt.Sprintf("%.4f", loss)
}

// size writes a number of bytes in the unit that suits it.
func size(n uint64) string {
	unit, x := 0, float64(n)
	for x >= 1000 && unit < 4 {
		x /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", x, [...]string{"", "kB", "MB", "GB", "TB"}[unit])
}

// standing is what a peer has done wrong, if anything.
func standing(p node.PeerStatus) string {
	switch {
	case p.ShutOut:
		return fmt.Sprintf(", shut out for a while after %d refused messages", p.Refused)
	case p.Refused > 0:
		return fmt.Sprintf(", %d messages refused", p.Refused)
	}
	return ""
}
