package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// LoadConfig returns the config.json of a folder that Find returned.
func LoadConfig(path string) ([]byte, error) {
	seals, err := optionalSeals(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	config, err := readText(machine{}, filepath.Join(path, configFile), seals[configFile])
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return config, nil
}

// LoadModel reads the parameters of a folder that Find returned into dst, whose
// tensors are those of the folder's config in any order. It refuses a file that
// lacks one, has another, or has one in another shape; dst may be partly filled
// by then.
func LoadModel(path string, dst []Tensor) error {
	seals, err := optionalSeals(path)
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	wanted := newTargets(dst)
	err = readFile(machine{}, filepath.Join(path, modelFile), seals[modelFile], func(r io.Reader, size int64) error {
		if err := readTensors(r, size, wanted.take); err != nil {
			return err
		}
		return wanted.missing()
	})
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return nil
}

// Assign copies each tensor of src into the one of dst that has its name. Both
// must hold the same names in the same shapes.
func Assign(dst, src []Tensor) error {
	wanted := newTargets(dst)
	for _, t := range src {
		data, err := wanted.take(described{t.Name, t.Shape, len(t.Data)})
		if err != nil {
			return err
		}
		copy(data, t.Data)
	}
	return wanted.missing()
}

// optionalSeals returns the seals of a snapshot, or none for a folder that did not
// come from Save.
func optionalSeals(path string) (map[string]seal, error) {
	seals, err := readSeals(machine{}, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return seals, err
}

// targets are tensors still to be filled, by name.
type targets map[string]Tensor

func newTargets(tensors []Tensor) targets {
	t := make(targets, len(tensors))
	for _, d := range tensors {
		t[d.Name] = d
	}
	return t
}

// take returns where the data of a tensor goes.
func (t targets) take(d described) ([]float32, error) {
	target, ok := t[d.name]
	if !ok {
		return nil, fmt.Errorf("tensor %q is not part of the model, or comes twice", d.name)
	}
	if !slices.Equal(target.Shape, d.shape) {
		return nil, fmt.Errorf("tensor %q has shape %v, the model's has %v", d.name, d.shape, target.Shape)
	}
	delete(t, d.name)
	return target.Data, nil
}

// missing names what nothing filled.
func (t targets) missing() error {
	if len(t) == 0 {
		return nil
	}
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	return fmt.Errorf("tensors missing: %d, the first is %q", len(t), slices.Min(names))
}
