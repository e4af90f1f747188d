package cli

import (
	"errors"
	"fmt"
	"strings"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/node"
)

// maxSeeds bounds the addresses that one join takes.
const maxSeeds = 16

func (i *invocation) joinCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "join",
		Usage:     "take part in a job that runs elsewhere",
		UsageText: "halos join --region NAME [flags] MULTIADDR...\nhalos join --region NAME [flags] --job ID",
		Description: `The node fetches the job from the node at the address, checks it, takes the role
that its region needs (server and worker where the region has no server yet, else
worker), gets the model and trains. It needs no setting of the job.

    halos join --region us /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW...
    halos join --region us --job 9f86d081884c7d65     found on this LAN by mDNS
    halos join --region us                            again: continues

The address is the one that halos run printed on the other machine. The flags come
before it. Interrupt it (Ctrl-C) to let it hand over what it holds and end;
interrupt again to end at once. While it runs: halos status --dir halos-us`,
		Flags: append([]urfave.Flag{
			&urfave.StringFlag{Name: "job", Usage: "join the job `ID` (16 or all 64 hex digits): without an address one of its nodes is looked for on this LAN"},
		}, nodeFlags("none, it must be named", "halos-REGION")...),
		Action: i.join,
	}
}

func (i *invocation) join(c *urfave.Context) error {
	addrs, err := i.arguments(c, maxSeeds, "")
	if err != nil {
		return err
	}
	cfg, err := i.nodeConfig(c)
	if err != nil {
		return err
	}
	cfg.Seeds, cfg.JobID = addrs, strings.ToLower(c.String("job"))
	if cfg.Dir = c.String("dir"); cfg.Dir == "" {
		if cfg.Region == "" {
			return together(c, required(c, "region", "name the place this machine is in, such as --region us"))
		}
		cfg.Dir = "halos-" + cfg.Region
	}
	held, err := heldJob(cfg.Dir)
	if err != nil {
		return err
	}
	if err := together(c, checkJoin(c, cfg, held)); err != nil {
		return err
	}
	if held != nil && !strings.HasPrefix(held.ID().String(), cfg.JobID) {
		return otherJob(cfg.Dir, held, "not to "+cfg.JobID, "--job")
	}
	return i.serve(c, cfg, func(n *node.Node) error {
		cfg.Log.Info("joined", "job", n.JobID()[:16], "region", cfg.Region, "dir", cfg.Dir)
		return nil
	})
}

// checkJoin finds what a join lacks that has nothing to continue.
func checkJoin(c *urfave.Context, cfg node.Config, held *job.Job) error {
	var errs []error
	if held == nil {
		errs = append(errs, required(c, "region", "name the place this machine is in, such as --region us"))
		if len(cfg.Seeds) == 0 && cfg.JobID == "" {
			errs = append(errs, errors.New("no address: give the one that halos run printed on the other machine, or --job ID to look for the job on this LAN"))
		}
	}
	if id := cfg.JobID; id != "" && (len(id) < 16 || len(id) > 64 || strings.Trim(id, "0123456789abcdef") != "") {
		errs = append(errs, fmt.Errorf("--job %q: want the id of a job, 16 to 64 hex digits, from its join line or halos status", id))
	}
	for _, a := range cfg.Seeds {
		errs = append(errs, checkAddr(a))
	}
	return errors.Join(errs...)
}

// checkAddr says what an address lacks to be that of a node. What it names, only
// the network can tell.
func checkAddr(addr string) error {
	const like = "it should look like /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW..., as halos run prints it"
	switch {
	case !strings.HasPrefix(addr, "/"):
		return fmt.Errorf("address %q is no multiaddr: %s", addr, like)
	case !strings.Contains(addr, "/p2p/"):
		return fmt.Errorf("address %q has no /p2p/ part, the peer id by which the other node proves who it is: %s", addr, like)
	}
	return nil
}
