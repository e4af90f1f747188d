package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"halos/checkpoint"
	"halos/model"
)

// small is a model that takes no time.
var small = model.Config{
	VocabSize: 256, HiddenSize: 16, NumHiddenLayers: 1, NumAttentionHeads: 2, IntermediateSize: 32,
	RotaryPct: 0.5, RotaryEmbBase: 10_000, LayerNormEps: 1e-5, UseParallelResidual: true, MaxPositionEmbeddings: 32,
}

// folder writes a Hugging Face folder of a model of shape c.
func folder(t *testing.T, c model.Config, change func(params []float32)) string {
	t.Helper()
	params := make([]float32, c.NumParams())
	model.Init(params, c, 1)
	if change != nil {
		change(params)
	}
	var tensors []checkpoint.Tensor
	for _, p := range c.Params() {
		tensors = append(tensors, checkpoint.Tensor{Name: p.Name, Shape: p.Shape, Data: params[p.Offset : p.Offset+p.Len()]})
	}
	var weights bytes.Buffer
	if err := checkpoint.WriteTensors(&weights, tensors); err != nil {
		t.Fatal(err)
	}
	config, err := c.HF()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(write(t, weightsFile, weights.Bytes()))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestGenerate(t *testing.T) {
	dir := folder(t, small, nil)
	args := []string{"generate", "--checkpoint", dir, "-p", "It is a truth, Ω", "-n", "50", "--seed", "3"}
	first := run(t, args...)
	if first.code != codeOK || first.err != "" || !utf8.ValidString(first.out) ||
		!strings.HasPrefix(first.out, "It is a truth, Ω") || !strings.HasSuffix(first.out, "\n") {
		t.Errorf("%+v", first)
	}
	if n := utf8.RuneCountInString(first.out) - utf8.RuneCountInString("It is a truth, Ω\n"); n < 1 || n > 50 {
		t.Errorf("%d runes were added, want 1 to 50", n)
	}
	if again := run(t, args...); again != first {
		t.Errorf("the same seed gave %q, then %q", first.out, again.out)
	}
	for _, threads := range []string{"0", "1", "3"} {
		if again := run(t, append(args[:len(args):len(args)], "--threads", threads)...); again != first {
			t.Errorf("--threads %s wrote %q, all threads %q", threads, again.out, first.out)
		}
	}
	if other := run(t, append(args[:len(args):len(args)], "--seed", "4")...); other.out == first.out {
		t.Error("another seed gave the same text")
	}
	if none := run(t, "generate", "--checkpoint", dir, "-p", "x", "-n", "0"); none.out != "x\n" {
		t.Errorf("no bytes: %q", none.out)
	}
	if bare := run(t, "generate", "--checkpoint", dir, "-n", "5", "--temperature", "0"); bare.code != codeOK || len(bare.out) < 2 {
		t.Errorf("without a prompt: %+v", bare)
	}
}

func TestEval(t *testing.T) {
	dir := folder(t, small, nil)
	text := write(t, "text.txt", bytes.Repeat([]byte("call me ishmael "), 100))
	for _, c := range []struct {
		name string
		args []string
		want string // the text
		tok  int
	}{
		{"held out", []string{"--windows", "3"}, "austen, held out", 3 * 32},
		{"a file", []string{"--data", text, "--windows", "0"}, text, 1599 / 33 * 32},
		{"a file shorter than the context", []string{"--data", write(t, "abc", []byte("abcdef"))}, "abc", 4},
		{"held out of the named source's file", []string{"--data", "other=" + text, "--windows", "1"}, text, 32},
	} {
		o := run(t, append([]string{"eval", "--json", "--checkpoint", dir}, c.args...)...)
		var e evaluation
		if err := json.Unmarshal([]byte(o.out), &e); err != nil || o.code != codeOK || o.err != "" {
			t.Fatalf("%s: %v, %+v", c.name, err, o)
		}
		if e.Schema != evalSchema || !strings.HasSuffix(e.Text, c.want) || e.Tokens != c.tok || e.Checkpoint != dir {
			t.Errorf("%s: %+v, want text %s, %d tokens", c.name, e, c.want, c.tok)
		}
		// A model that knows nothing spreads its guess over the 256 bytes.
		if math.Abs(e.Loss-math.Log(256)) > 0.2 || math.Abs(e.Perplexity-math.Exp(e.Loss)) > 1e-6 || math.Abs(e.BitsPerByte*math.Ln2-e.Loss) > 1e-9 {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
	o := run(t, "eval", "--checkpoint", dir, "--windows", "1")
	if o.code != codeOK || !strings.Contains(o.out, "bits per byte") {
		t.Errorf("%+v", o)
	}
	if other := run(t, "eval", "--checkpoint", dir, "--windows", "1", "--threads", "3"); other != o {
		t.Errorf("%+v on 3 threads, %+v on all", other, o)
	}
}

func TestDamagedCheckpoints(t *testing.T) {
	truncated := folder(t, small, nil)
	if err := os.Truncate(filepath.Join(truncated, weightsFile), 4000); err != nil {
		t.Fatal(err)
	}
	liar := folder(t, small, nil)
	config, _ := model.Config{
		VocabSize: 256, HiddenSize: 1 << 13, NumHiddenLayers: 20, NumAttentionHeads: 64, IntermediateSize: 1 << 15,
		RotaryPct: 0.25, RotaryEmbBase: 10_000, LayerNormEps: 1e-5, MaxPositionEmbeddings: 32,
	}.HF()
	if err := os.WriteFile(filepath.Join(liar, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	words := small
	words.VocabSize = 300
	empty := write(t, "empty", nil)
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"truncated", []string{"generate", "--checkpoint", truncated}, codeFailed, "truncated"},
		{"config of a larger model", []string{"generate", "--checkpoint", liar}, codeFailed, "too few for the"},
		{"other vocabulary", []string{"eval", "--checkpoint", folder(t, words, nil)}, codeFailed, "vocabulary of 300 tokens"},
		{"diverged", []string{"eval", "--windows", "1", "--checkpoint", folder(t, small, func(p []float32) { fill(p, float32(math.NaN())) })}, codeDiverged, "diverged"},
		{"diverged, generating", []string{"generate", "--checkpoint", folder(t, small, func(p []float32) { fill(p, float32(math.NaN())) })}, codeFailed, "diverged"},
		{"no such text", []string{"eval", "--checkpoint", folder(t, small, nil), "--data", "no/such"}, codeUsage, "no/such"},
		{"empty text", []string{"eval", "--checkpoint", folder(t, small, nil), "--data", empty}, codeUsage, "too few"},
	} {
		o := run(t, c.args...)
		if c.name == "diverged, generating" {
			o.out = strings.TrimSpace(o.out) // its line is ended
		}
		t.Run(c.name, func(t *testing.T) { refused(t, o, c.code, c.want) })
	}
}

func fill(p []float32, v float32) {
	for i := range p {
		p[i] = v
	}
}

// cutOff interrupts the program when it first writes.
type cutOff struct {
	lockedBuffer
	once    sync.Once
	signals chan<- os.Signal
}

func (c *cutOff) Write(b []byte) (int, error) {
	c.once.Do(func() { c.signals <- os.Interrupt })
	return c.lockedBuffer.Write(b)
}

func TestInterruptCutsGenerate(t *testing.T) {
	signals := make(chan os.Signal, 1)
	out := &cutOff{signals: signals}
	var logs lockedBuffer
	code := Program{In: strings.NewReader(""), Out: out, Err: &logs, Signals: signals}.Run(context.Background(),
		[]string{"halos", "generate", "--checkpoint", folder(t, small, nil), "-p", "x", "-n", "1000000000"})
	if code != codeInterrupted || !strings.Contains(logs.String(), "interrupted") {
		t.Errorf("exit code %d, stderr %q", code, logs.String())
	}
}

func TestTextWriter(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "It is\ta truth\n", "It is\ta truth\n\n"},
		{"runes", "Ω€😀", "Ω€😀\n"},
		{"a lone continuation", "a\x80b", "a\ufffdb\n"},
		{"a rune that breaks off", "a\xe2\x82b", "a\ufffd\ufffdb\n"},
		{"a rune that breaks off at the end", "a\xe2\x82", "a\ufffd\n"},
		{"never UTF-8", "\xff\xfe", "\ufffd\ufffd\n"},
		{"a surrogate", "\xed\xa0\x80", "\ufffd\ufffd\ufffd\n"},
		{"control sequences", "\x1b[2J\r\x00\x7f\u009b", "\ufffd[2J\ufffd\ufffd\ufffd\ufffd\n"},
	} {
		var b bytes.Buffer
		w := &textWriter{w: &b}
		for _, x := range []byte(c.in) {
			if err := w.put(x); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want || !utf8.Valid(b.Bytes()) {
			t.Errorf("%s: %q, want %q", c.name, b.String(), c.want)
		}
	}
}
