package data

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAustenHoldsOutItsShortestNovel(t *testing.T) {
	text, err := inflate(Austen().Name)
	if err != nil {
		t.Fatal(err)
	}
	titles := []string{"EMMA", "MANSFIELD PARK", "NORTHANGER ABBEY", "Persuasion", "PRIDE AND PREJUDICE", "SENSE AND SENSIBILITY"}
	var starts []int
	for _, title := range titles {
		line := []byte(title + "\n")
		at := bytes.Index(text, append([]byte("\n"), line...)) + 1
		if at == 0 && !bytes.HasPrefix(text, line) {
			t.Fatalf("no line %q", title)
		}
		if n := bytes.Count(text, append([]byte("\n"), line...)); n > 1 {
			t.Fatalf("%d lines %q, want 1", n, title)
		}
		starts = append(starts, at)
	}
	starts = append(starts, len(text))
	shortest := Span{0, int64(len(text))}
	for i := range titles {
		if s := (Span{int64(starts[i]), int64(starts[i+1])}); s.To-s.From < shortest.To-shortest.From {
			shortest = s
		}
	}
	if got := Austen().Validation; got != shortest {
		t.Errorf("held out %v, the shortest novel is %v", got, shortest)
	}
}

func TestOpenAusten(t *testing.T) {
	c, err := Open(Austen(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(c.train)+len(c.held), 4_025_029; got != want {
		t.Errorf("train and held out together have %d bytes, want %d", got, want)
	}
	for _, line := range []struct {
		what string
		text []byte
		want string
	}{
		{"training starts", c.train[:5], "EMMA\n"},
		{"before the seam", c.train[1_766_300:1_766_308], "THE END\n"},
		{"after the seam", c.train[1_766_308:1_766_319], "Persuasion\n"},
		{"held out starts", c.held[:17], "NORTHANGER ABBEY\n"},
	} {
		if string(line.text) != line.want {
			t.Errorf("%s: %q, want %q", line.what, line.text, line.want)
		}
	}
}

func TestNoTrainingWindowTouchesTheHeldOutSpan(t *testing.T) {
	file := write(t, strings.Repeat("t", 500)+strings.Repeat("h", 100)+strings.Repeat("t", 399))
	s, err := Describe("own", file)
	if err != nil {
		t.Fatal(err)
	}
	s.Validation = Span{500, 600}
	c, err := Open(s, file)
	if err != nil {
		t.Fatal(err)
	}
	window := make([]int32, 10)
	for i := range 3 * c.Epoch(10) {
		c.Sample(window, 1, i)
		for _, got := range window {
			if got != 't' {
				t.Fatalf("sample %d has token %q", i, got)
			}
		}
	}
	if got, want := c.ValidationCount(10), 10; got != want {
		t.Fatalf("%d held-out windows, want %d", got, want)
	}
	for i := range 10 {
		c.Validation(window, i)
		for _, got := range window {
			if got != 'h' {
				t.Fatalf("held-out window %d has token %q", i, got)
			}
		}
	}
}

func TestDescribeAndOpenAFile(t *testing.T) {
	file := write(t, strings.Repeat("0123456789", 10))
	s, err := Describe("own", file)
	if err != nil {
		t.Fatal(err)
	}
	want := Source{"own", "9cfe7faff7054298ca87557e15a10262de8d3eee77827417fbdfea1c41b9ec23", 100, "byte", Span{95, 100}}
	if s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	c, err := Open(s, file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Source() != s {
		t.Errorf("opened as %+v, want %+v", c.Source(), s)
	}
	window := make([]int32, 2)
	c.Validation(window, 1)
	if window[0] != '7' || window[1] != '8' {
		t.Errorf("held-out window 1 is %q, want 78", window)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := write(t, strings.Repeat("x", 100))
	good, err := Describe("own", file)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*Source)) Source { s := good; f(&s); return s }
	austen := Austen()
	austen.SHA256 = good.SHA256
	for _, c := range []struct {
		name   string
		source Source
		file   string
		want   string
	}{
		{"a text that is nowhere", good, "", `source "own": its text is not part of this program: name the file that holds it with --data own=FILE`},
		{"a missing file", good, file + ".no", "no such file"},
		{"a directory", good, filepath.Dir(file), "is not a regular file"},
		{"another length", change(func(s *Source) { s.Bytes = 101 }), file, "has 100 bytes, the job's text has 101"},
		{"a length beyond memory", change(func(s *Source) { s.Bytes = 1 << 60 }), file, "has 100 bytes, the job's text has 1152921504606846976"},
		{"another hash", change(func(s *Source) { s.SHA256 = Austen().SHA256 }), file, "has SHA-256 " + good.SHA256 + ", the job's text has " + Austen().SHA256},
		{"another hash of the embedded text", austen, "", "the embedded text has SHA-256 " + Austen().SHA256},
		{"a faulty source", change(func(s *Source) { s.Validation = Span{} }), file, "validation [0,0) is not a range within its 100 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(c.source, c.file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestDescribeRefuses(t *testing.T) {
	for _, c := range []struct{ name, source, file, want string }{
		{"an empty file", "own", write(t, ""), "has 0 bytes, too few to train and validate on"},
		{"one byte", "own", write(t, "x"), "has 1 bytes, too few to train and validate on"},
		{"no name", "", write(t, "xyz"), `source "": has no name`},
		{"a directory", "own", t.TempDir(), "is not a regular file"},
		{"a missing file", "own", filepath.Join(t.TempDir(), "no"), `source "own": `},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Describe(c.source, c.file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestSourceValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Source)
		want   string
	}{
		{"austen", func(*Source) {}, ""},
		{"no name", func(s *Source) { s.Name = "" }, `source "": has no name`},
		{"a short hash", func(s *Source) { s.SHA256 = "12" }, `source "austen": sha256 is "12", want 64 lower-case hex digits`},
		{"an upper-case hash", func(s *Source) { s.SHA256 = strings.Repeat("AB", 32) }, "want 64 lower-case hex digits"},
		{"another tokenizer", func(s *Source) { s.Tokenizer = "bpe" }, `source "austen": tokenizer is "bpe", want byte`},
		{"no length", func(s *Source) { s.Bytes = 0 }, "bytes is 0, want more than 0"},
		{"held out beyond the end", func(s *Source) { s.Validation.To = s.Bytes + 1 }, "is not a range within its 4025029 bytes"},
		{"held out before the start", func(s *Source) { s.Validation.From = -1 }, "validation [-1,2199719) is not a range"},
		{"all held out", func(s *Source) { s.Validation = Span{0, s.Bytes} }, "leaves nothing to train on"},
		{"two faults", func(s *Source) { s.Tokenizer, s.Validation = "", Span{} }, "want byte\nsource \"austen\": validation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Austen()
			c.change(&s)
			err := s.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	file := write(t, strings.Repeat("x", 1000)) // 950 to train on, 50 held out
	s, err := Describe("own", file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(s, file)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		name           string
		context, batch int
		want           string
	}{
		{"one batch exactly", 9, 95, ""},
		{"one window too few", 9, 96, `source "own": corpus smaller than one batch: its 950 bytes to train on make 95 windows of 10, a batch takes 96: use a longer text, or a smaller batch or context`},
		{"context longer than the text", 950, 1, "make 0 windows of 951, a batch takes 1"},
		{"one held-out window", 49, 1, ""},
		{"no held-out window", 50, 1, `source "own": its 50 held-out bytes are fewer than one window of 51`},
	} {
		t.Run(k.name, func(t *testing.T) {
			err := c.Check(k.context, k.batch)
			if k.want == "" && err != nil || k.want != "" && (err == nil || !strings.Contains(err.Error(), k.want)) {
				t.Errorf("got %v, want %q in it", err, k.want)
			}
		})
	}
}

// write puts text into a file of its own and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
