package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// MaxBytes bounds a manifest in either form. A reader takes no more.
const MaxBytes = 64 << 10

// ErrFormat is returned for a manifest of another format version: its job needs
// the version of halos that its other machines run.
var ErrFormat = errors.New("manifest of another format")

// Parse reads the canonical form. It takes exactly the bytes that Canonical makes,
// so the SHA-256 of what it accepts is the job's ID.
func Parse(canonical []byte) (*Job, error) {
	if len(canonical) > MaxBytes {
		return nil, fmt.Errorf("manifest of %d bytes, at most %d are read", len(canonical), MaxBytes)
	}
	var version struct{ Format *int }
	if err := json.Unmarshal(canonical, &version); err != nil {
		return nil, fmt.Errorf("manifest is no JSON object: %w", err)
	}
	if err := checkFormat(version.Format); err != nil {
		return nil, err
	}
	var j Job
	d := json.NewDecoder(bytes.NewReader(canonical))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := j.Validate(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if !bytes.Equal(j.Canonical(), canonical) {
		return nil, errors.New("manifest is not in canonical form: it has a key twice, lacks one, or is written differently")
	}
	return &j, nil
}

func checkFormat(format *int) error {
	if format == nil {
		return errors.New("manifest has no format: it is not one of halos")
	}
	if *format != Format {
		return fmt.Errorf("%w: %d, this program knows %d: use the version of halos that the job's other machines run", ErrFormat, *format, Format)
	}
	return nil
}

// ParseYAML reads the form that people write, such as YAML makes. It takes every
// key of the manifest exactly once, in any order, and no other.
func ParseYAML(text []byte) (*Job, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("manifest of %d bytes, at most %d are read", len(text), MaxBytes)
	}
	root, err := document(text)
	if err != nil {
		return nil, err
	}
	settings, err := collect(root)
	if err != nil {
		return nil, err
	}
	var j Job
	var errs []error
	for _, f := range j.fields() {
		errs = append(errs, f.take(settings[f.key]))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &j, j.Validate()
}

// document returns the only document of text, which is a mapping.
func document(text []byte) (*ast.MappingNode, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, AtLine(err)
	}
	if len(file.Docs) > 1 {
		return nil, fmt.Errorf("%d YAML documents, want one manifest", len(file.Docs))
	}
	var root *ast.MappingNode
	if len(file.Docs) == 1 {
		root, _ = file.Docs[0].Body.(*ast.MappingNode)
	}
	if root == nil {
		return nil, errors.New("no manifest: want lines of \"key: value\", such as \"halos init\" prints")
	}
	return root, nil
}

// collect returns the value of each key of the manifest in root, and finds those
// that no manifest has and those missing. An own format version comes first: it
// explains all the rest.
func collect(root *ast.MappingNode) (map[string]*ast.MappingValueNode, error) {
	settings := make(map[string]*ast.MappingValueNode)
	walk("", root, func(key string, at *ast.MappingValueNode) { settings[key] = at })
	if err := formatOf(settings["format"]); err != nil {
		return nil, err
	}
	var missing []string
	unknown := maps.Clone(settings)
	for _, f := range new(Job).fields() {
		if settings[f.key] == nil {
			missing = append(missing, f.key)
		}
		delete(unknown, f.key)
	}
	if len(unknown) > 0 { // a slip also explains what is missing
		var errs []error
		for _, key := range slices.SortedFunc(maps.Keys(unknown), func(a, b string) int { return line(unknown[a]) - line(unknown[b]) }) {
			errs = append(errs, fmt.Errorf("line %d: %w", line(unknown[key]), unknownKey(key)))
		}
		return nil, errors.Join(errs...)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("missing keys: %s: \"halos init\" prints all", strings.Join(missing, ", "))
	}
	return settings, nil
}

// formatOf checks the format that a manifest says it has.
func formatOf(at *ast.MappingValueNode) error {
	if at == nil {
		return checkFormat(nil)
	}
	var format int
	f := field{"format", reflect.ValueOf(&format).Elem()}
	if err := f.take(at); err != nil {
		return err
	}
	return checkFormat(&format)
}

// take sets f to a value of the document, which must be of f's type: YAML readers
// differ in what they convert.
func (f field) take(at *ast.MappingValueNode) error {
	var err error
	text := at.Value.GetToken().Value
	switch at.Value.(type) {
	case *ast.StringNode:
		if f.value.Kind() == reflect.String {
			f.value.SetString(text)
			return nil
		}
		err = f.wants(text)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		if f.value.Kind() == reflect.String {
			err = fmt.Errorf("%s: %s is not text: put it into quotes", f.key, text)
		} else {
			err = f.set(text)
		}
	default:
		err = f.wants(text)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", line(at), err)
	}
	return nil
}

func line(at *ast.MappingValueNode) int { return at.Key.GetToken().Position.Line }

// walk calls visit for all settings below node, with dotted keys. A part of the
// manifest that is no mapping counts as a setting, a setting that is a mapping as
// what is below it.
func walk(prefix string, node *ast.MappingNode, visit func(key string, at *ast.MappingValueNode)) {
	for _, v := range node.Values {
		key := prefix + v.Key.GetToken().Value
		if below, ok := v.Value.(*ast.MappingNode); ok && len(below.Values) > 0 {
			walk(key+".", below, visit)
			continue
		}
		visit(key, v)
	}
}

// AtLine makes one line of an error of the YAML package, which draws the text.
func AtLine(err error) error {
	var fault yaml.Error
	if !errors.As(err, &fault) || fault.GetToken() == nil || fault.GetToken().Position == nil {
		return err
	}
	at := fault.GetToken()
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("line %d: %.40q, want %s", at.Position.Line, at.Value, wrong.DstType)
	}
	return fmt.Errorf("line %d: %s", at.Position.Line, fault.GetMessage())
}
