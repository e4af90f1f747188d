package checkpoint

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

const saverDir = "CHECKPOINT_TEST_SAVE_INTO" // environment: makes the test binary a saver

func TestMain(m *testing.M) {
	if dir := os.Getenv(saverDir); dir != "" {
		saveForEver(dir)
	}
	os.Exit(m.Run())
}

// saveForEver saves versions 1, 1, 2, 2, 3, .. and prints each after Save returned.
func saveForEver(dir string) {
	out := bufio.NewWriter(os.Stdout)
	for i := uint64(2); ; i++ {
		s := snapshot(i/2, float32(i))
		s.Vectors[0] = Tensor{"momentum", []int{1 << 16}, make([]float32, 1<<16)}
		if _, err := Save(dir, s); err != nil {
			os.Exit(1)
		}
		out.WriteString(strconv.FormatUint(i/2, 10) + "\n")
		out.Flush()
	}
}

// A process killed at any moment leaves at least what its last finished Save
// left.
func TestAKilledSaverLosesNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for kill := range 8 {
		dir := t.TempDir()
		saver := exec.CommandContext(t.Context(), self)
		saver.Env = append(os.Environ(), saverDir+"="+dir)
		out, err := saver.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := saver.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var last uint64
		for range kill + 1 {
			if !lines.Scan() {
				t.Fatal("the saver ended by itself")
			}
			if last, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		if err := saver.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := saver.Wait(); !errors.As(err, &exit) {
			t.Fatalf("the saver ended with %v, want it killed", err)
		}
		got, _, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got.Version < last || got.Skipped != nil {
			t.Errorf("loads v%d after v%d was saved, skipped: %v", got.Version, last, got.Skipped)
		}
		if _, err := Save(dir, snapshot(got.Version+1, 0)); err != nil {
			t.Error(err)
		}
	}
}
