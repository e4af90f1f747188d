package job

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// YAML returns the manifest as people read and edit it: every key with a comment.
// ParseYAML makes the same job of it.
func (j *Job) YAML() []byte {
	var b bytes.Buffer
	b.WriteString(preamble)
	open := "" // the part whose keys are being written
	for _, f := range j.fields() {
		part, name, _ := cutLast(f.key)
		openPart(&b, open, part)
		open = part
		indent := strings.Repeat("  ", strings.Count(f.key, "."))
		line := fmt.Sprintf("%s%s: %s", indent, name, scalar(f.value))
		fmt.Fprintf(&b, "%-*s # %s\n", commentColumn, line, comments[f.key])
	}
	return b.Bytes()
}

// openPart writes the heads of the parts that lead to part and are not open yet.
func openPart(b *bytes.Buffer, open, part string) {
	path := ""
	for depth, name := range strings.Split(part, ".") {
		path = strings.TrimPrefix(path+"."+name, ".")
		if part == "" || path == open || strings.HasPrefix(open, path+".") {
			continue
		}
		if depth == 0 {
			fmt.Fprintf(b, "\n# %s\n", comments[path])
			fmt.Fprintf(b, "%s:\n", name)
			continue
		}
		line := fmt.Sprintf("%s%s:", strings.Repeat("  ", depth), name)
		fmt.Fprintf(b, "%-*s # %s\n", commentColumn, line, comments[path])
	}
}

// scalar writes a value so that no YAML reader takes it for one of another type.
func scalar(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Float64:
		s := strconv.FormatFloat(v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(s, ".") {
			mantissa, exponent, ok := strings.Cut(s, "e")
			if s = mantissa + ".0"; ok {
				s += "e" + exponent
			}
		}
		return s
	}
	return fmt.Sprint(v.Interface())
}

const preamble = `# The manifest of a halos job. It says everything that the job's machines must agree
# on; its SHA-256 is the job's id. Start it:    halos run --job FILE
# Others join with the line that run prints and fetch this from the network.
`

// commentColumn is where the comments of short lines begin.
const commentColumn = 34

// comments explains all keys and the parts that hold them.
var comments = map[string]string{
	"format":   "version of this file's format",
	"name":     "for people",
	"salt":     "random: tells apart jobs that are otherwise the same",
	"seed":     "of the first parameters and of the order of samples",
	"tokens":   "to train on; the learning rate's schedule and the job end there",
	"workload": "train; ledger counts local steps instead, to test the exchange",

	"H":            "local steps of a worker between two deltas",
	"K":            "deltas that a region's server (LPS) applies between two pushes to the global one (GPS)",
	"alpha":        "weight of the global model when an LPS merges it, above 0 (but for workload ledger) and at most 1",
	"inflight":     "deltas applied while a push travels: carry ships them with the next, paper drops them",
	"batch":        "samples of a local step",
	"global_batch": "samples of a step of the learning rate's schedule",
	"rescale":      "H is that of the fastest worker, the others take fewer local steps, by their speed",

	"lps":      "Delayed Nesterov of the LPS, per delta of a worker.",
	"lps.lr":   "the paper's rate per delta times n",
	"lps.beta": "momentum",
	"lps.c":    "share of the momentum that every delta applies, at most 1/n",
	"lps.n":    "deltas per update of the momentum; about the workers of a region",
	"gps":      "Delayed Nesterov of the GPS, per push of a region.",
	"gps.lr":   "the paper's rate per push times n",
	"gps.beta": "momentum",
	"gps.c":    "share of the momentum that every push applies, at most 1/n",
	"gps.n":    "pushes per update of the momentum; about the number of regions",

	"guard":               "What a server refuses; 0 = off.",
	"guard.norm_per_step": "a delta of a larger norm than this for each of its local steps",
	"guard.max_staleness": "a delta made from a model more versions old than this",

	"optimizer":              "AdamW of a worker's local steps.",
	"optimizer.lr":           "highest learning rate; it ends at a tenth of this",
	"optimizer.warmup":       "schedule steps until it is reached",
	"optimizer.beta1":        "decay of the gradient's mean",
	"optimizer.beta2":        "decay of its squared mean",
	"optimizer.eps":          "added to the root of the squared mean",
	"optimizer.weight_decay": "of matrices, per unit of learning rate",
	"optimizer.clip":         "bound on the gradient's norm; 0 = none",

	"codec":        "How deltas travel: f32.",
	"codec.region": "worker to LPS",
	"codec.global": "LPS to GPS",

	"model":                         "A GPT-NeoX decoder, in the words of a Hugging Face config.json.",
	"model.vocab_size":              "at least the tokenizer's",
	"model.hidden_size":             "width of a layer",
	"model.num_hidden_layers":       "layers",
	"model.num_attention_heads":     "heads; they divide the width",
	"model.intermediate_size":       "width within the feed-forward part",
	"model.rotary_pct":              "share of a head that carries positions",
	"model.rotary_emb_base":         "base of their wavelengths",
	"model.layer_norm_eps":          "added to a variance",
	"model.use_parallel_residual":   "attention and feed-forward read the same input",
	"model.max_position_embeddings": "context: the tokens of a sample",

	"source":                 "The text. Each machine has it; its hash says that it is the same.",
	"source.name":            "austen is built in; for others run and join take --data FILE",
	"source.sha256":          "of the text",
	"source.bytes":           "its length",
	"source.tokenizer":       "byte: each byte is a token",
	"source.validation":      "bytes held out of training, to measure the loss on",
	"source.validation.from": "first",
	"source.validation.to":   "behind the last",
}
