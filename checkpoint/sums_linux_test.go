package checkpoint

import (
	"os/exec"
	"strings"
	"testing"
)

// The file of sums is what sha256sum reads, which every Linux has.
func TestSha256sumChecks(t *testing.T) {
	path := save1(t, t.TempDir(), snapshot(1, 1))
	check := exec.CommandContext(t.Context(), "sha256sum", "--strict", "-c", sumsFile)
	check.Dir = path
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK\n") != 6 {
		t.Errorf("%v:\n%s", err, out)
	}
}
