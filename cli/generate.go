package cli

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	urfave "github.com/urfave/cli/v2"

	"halos/data"
	"halos/model"
)

func (i *invocation) generateCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "generate",
		Usage:     "let a trained model continue a text",
		UsageText: "halos generate --checkpoint DIR [-p TEXT] [-n BYTES] [flags]",
		Description: `Prints the prompt and what the model makes of it, byte by byte.

    halos generate --checkpoint demo -p "It is a truth" -n 200
    halos generate --checkpoint halos-node --temperature 0     always the likeliest byte

A node goes on training meanwhile: its newest snapshot is read.`,
		Flags: []urfave.Flag{
			checkpointFlag(),
			&urfave.StringFlag{Name: "prompt", Aliases: []string{"p"}, DefaultText: "the start of a line", Usage: "continue `TEXT`"},
			&urfave.IntFlag{Name: "bytes", Aliases: []string{"n"}, Value: 200, Usage: "write `N` bytes"},
			&urfave.Float64Flag{Name: "temperature", Value: 0.8, Usage: "draw boldly (1) or carefully (towards 0) by `T`"},
			&urfave.IntFlag{Name: "top-k", Value: 40, Usage: "draw among the `K` likeliest bytes, 0 = all"},
			&urfave.Uint64Flag{Name: "seed", Value: 1, Usage: "draw by `SEED`: the same gives the same text"},
			threadsFlag(),
		},
		Action: i.generate,
	}
}

func (i *invocation) generate(c *urfave.Context) error {
	if _, err := i.arguments(c, 0, "checkpoint"); err != nil {
		return err
	}
	sampler := model.Sampler{Temperature: c.Float64("temperature"), TopK: c.Int("top-k"), Seed: c.Uint64("seed")}
	if err := together(c, sampler.Validate(), atLeast(c, "bytes", 0), checkThreads(c)); err != nil {
		return err
	}
	t, err := readModel(c)
	if err != nil {
		return err
	}
	prompt := c.String("prompt")
	tokens := bytesAsTokens(prompt)
	if prompt == "" {
		tokens = bytesAsTokens("\n")
	}
	out := &textWriter{w: i.Out}
	for _, b := range []byte(prompt) {
		if err := out.put(b); err != nil {
			return err
		}
	}
	pool := newPool(c)
	defer pool.Close()
	net := model.NewNet(t.config, 1, t.config.MaxPositionEmbeddings, model.Options{Pool: pool})
	err = model.Generate(c.Context, net, t.params, tokens, c.Int("bytes"), sampler, func(token int32) error {
		if token >= data.Vocabulary { // an entry of the table that no text trains
			return out.print(utf8.RuneError)
		}
		return out.put(byte(token))
	})
	if end := out.end(); err == nil {
		err = end
	}
	return err
}

func bytesAsTokens(text string) []int32 {
	tokens := make([]int32, len(text))
	for k := range tokens {
		tokens[k] = int32(text[k])
	}
	return tokens
}

// textWriter writes bytes as they come as valid UTF-8. It prints U+FFFD for what is
// none, and for control characters, with which a model could steer the terminal.
type textWriter struct {
	w       io.Writer
	pending []byte // the beginning of a rune
}

func (t *textWriter) put(b byte) error {
	t.pending = append(t.pending, b)
	for len(t.pending) > 0 && utf8.FullRune(t.pending) {
		r, size := utf8.DecodeRune(t.pending)
		t.pending = t.pending[size:]
		if err := t.print(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *textWriter) print(r rune) error {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		r = utf8.RuneError
	}
	_, err := fmt.Fprintf(t.w, "%c", r)
	return err
}

// end closes a rune that was not completed, and the line.
func (t *textWriter) end() error {
	if len(t.pending) > 0 {
		t.pending = nil
		if err := t.print(utf8.RuneError); err != nil {
			return err
		}
	}
	return t.print('\n')
}
