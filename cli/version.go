package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	urfave "github.com/urfave/cli/v2"

	"halos/job"
	"halos/tensor"
	"halos/wire"
)

// versionSchema names the form of version as JSON.
const versionSchema = "halos.version/1"

// version says what this program is.
type version struct {
	Schema   string `json:"schema"`
	Version  string `json:"version"` // of the module, "devel" for a build from a checkout
	Commit   string `json:"commit"`  // empty if unknown
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`   // set of compute kernels in use
	Protocol int    `json:"protocol"` // of the wire: nodes of one job have the same
	Format   int    `json:"format"`   // of manifests
}

func (i *invocation) versionCommand() *urfave.Command {
	return &urfave.Command{
		Name:        "version",
		Usage:       "say which version this is",
		UsageText:   "halos version [--json]",
		Description: "Nodes of one job must have the same wire protocol and manifest format.",
		Flags:       []urfave.Flag{jsonFlag()},
		Action: func(c *urfave.Context) error {
			if _, err := i.arguments(c, 0, ""); err != nil {
				return err
			}
			v := currentVersion()
			if c.Bool("json") {
				return printJSON(i.Out, v)
			}
			_, err := fmt.Fprintf(i.Out, "halos %s\ncommit %s%s\n%s %s/%s, kernel %s\nwire protocol %d, manifest format %d\n",
				v.Version, cmp.Or(v.Commit, "unknown"), map[bool]string{true: " and changes to it"}[v.Modified],
				v.Go, v.OS, v.Arch, v.Kernel, v.Protocol, v.Format)
			return err
		},
	}
}

func currentVersion() version {
	v := version{
		Schema: versionSchema, Version: "devel",
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Kernel: tensor.Kernel(), Protocol: wire.ProtocolVersion, Format: job.Format,
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := build.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
