package cli

import (
	"cmp"
	"fmt"
	"math"

	urfave "github.com/urfave/cli/v2"

	"halos/data"
	"halos/model"
	"halos/train"
)

// evalSchema names the form of evaluation as JSON.
const evalSchema = "halos.eval/1"

// evaluation is how well a model predicts a text.
type evaluation struct {
	Schema      string  `json:"schema"`
	Checkpoint  string  `json:"checkpoint"` // folder that was read
	Text        string  `json:"text"`       // name of the source, or the file
	Windows     int     `json:"windows"`    // pieces of the text that were read
	Tokens      int     `json:"tokens"`     // predicted
	Loss        float64 `json:"loss"`       // nats per token
	Perplexity  float64 `json:"perplexity"`
	BitsPerByte float64 `json:"bits_per_byte"`
}

func (i *invocation) evalCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "eval",
		Usage:     "measure how well a trained model predicts a text",
		UsageText: "halos eval --checkpoint DIR [--data FILE] [flags]",
		Description: `Prints loss (nats per token), perplexity and bits per byte: on the text that the
model's job held out of training, or on all of FILE.

    halos eval --checkpoint demo
    halos eval --checkpoint halos-node --data letters.txt --json

If the job trained on a text of your own, --data NAME=FILE with its name in the
manifest reads the part held out of FILE.`,
		Flags: []urfave.Flag{
			checkpointFlag(),
			&urfave.StringFlag{Name: "data", Usage: "read `FILE`, or the held-out part of the job's text by NAME=FILE"},
			&urfave.IntFlag{Name: "windows", Value: 512, Usage: "read `N` pieces of the model's context, evenly spread, 0 = all"},
			threadsFlag(),
			jsonFlag(),
		},
		Action: i.eval,
	}
}

func (i *invocation) eval(c *urfave.Context) error {
	if _, err := i.arguments(c, 0, "checkpoint"); err != nil {
		return err
	}
	if err := together(c, atLeast(c, "windows", 0), checkThreads(c)); err != nil {
		return err
	}
	t, err := readModel(c)
	if err != nil {
		return err
	}
	text, err := textToEvaluate(c.String("data"), t)
	if err != nil {
		return together(c, err)
	}
	context := min(t.config.MaxPositionEmbeddings, text.held-1)
	windows := text.corpus.ValidationCount(context + 1)
	windows = min(windows, cmp.Or(c.Int("windows"), windows))
	pool := newPool(c)
	defer pool.Close()
	e := train.NewEvaluator(t.config, text.corpus, context, windows, model.Options{Pool: pool})
	loss, err := e.Loss(c.Context, t.params)
	if err != nil {
		return err
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("checkpoint %s: %w: its loss is %v", t.path, train.ErrDiverged, loss)
	}
	return i.printEvaluation(c.Bool("json"), evaluation{
		Schema: evalSchema, Checkpoint: t.path, Text: text.name, Windows: windows, Tokens: windows * context,
		Loss: loss, Perplexity: math.Exp(loss), BitsPerByte: loss / math.Ln2,
	})
}

func (i *invocation) printEvaluation(asJSON bool, e evaluation) error {
	if asJSON {
		return printJSON(i.Out, e)
	}
	_, err := fmt.Fprintf(i.Out, "checkpoint     %s\ntext           %s, %d tokens in %d windows\nloss           %.4f nats per token\nperplexity     %.3f per token\nbits per byte  %.4f\n",
		e.Checkpoint, e.Text, e.Tokens, e.Windows, e.Loss, e.Perplexity, e.BitsPerByte)
	return err
}

// evaluated is a text whose held-out part is to be predicted.
type evaluated struct {
	name   string
	corpus *data.Corpus
	held   int // bytes held out
}

// textToEvaluate opens the text of the job that trained t, or all of a file.
func textToEvaluate(arg string, t trained) (evaluated, error) {
	source := data.Austen()
	if t.job != nil {
		source = t.job.Source
	}
	name, file := splitData(arg)
	label := source.Name + ", held out"
	if file != "" && (name == "" || name != source.Name) {
		var err error
		if source, err = data.Describe("file", file); err != nil {
			return evaluated{}, err
		}
		// All but the first byte, which nothing could predict anyway.
		source.Validation = data.Span{From: 1, To: source.Bytes}
		label = file
	}
	corpus, err := data.Open(source, file)
	if err != nil {
		return evaluated{}, err
	}
	held := int(source.Validation.To - source.Validation.From)
	if held < 2 {
		return evaluated{}, fmt.Errorf("%s: %d bytes are too few to predict one from another", label, held)
	}
	return evaluated{label, corpus, held}, nil
}
