package sim

import (
	"halos/job"
	"halos/optim"
)

// PaperName is what PaperJob is called among presets.
const PaperName = "paper"

// PaperJob is the main experiment of the HALoS paper (section 5.1) with a transformer
// small enough to be trained by one core in a minute or two: its servers, its 98,304
// local steps and its schedule, on samples of 64 bytes.
func PaperJob() (*job.Job, error) {
	j, err := job.Preset("tiny")
	if err != nil {
		return nil, err
	}
	j.Name = PaperName
	j.Model.HiddenSize, j.Model.NumHiddenLayers, j.Model.NumAttentionHeads, j.Model.IntermediateSize = 64, 2, 4, 256
	j.H, j.K, j.Alpha, j.Batch, j.GlobalBatch = 8, 32, 0.25, 1, 16
	j.LPS = optim.NesterovConfig{LR: 0.2 * 16, Beta: 0.9, N: 16}
	j.GPS = optim.NesterovConfig{LR: 0.15 * 2, Beta: 0.5, N: 2}
	j.Optimizer.LR, j.Optimizer.Warmup = 4e-3, 300
	j.Tokens = 98_304 * 64
	return j, j.Validate()
}
