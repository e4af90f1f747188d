package job

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// field is one setting of a manifest.
type field struct {
	key   string // dotted, such as lps.lr
	value reflect.Value
}

// fields returns the settings of j in the order of the manifest. Their values are
// those of j: setting one changes j.
func (j *Job) fields() []field { return appendFields(nil, "", reflect.ValueOf(j).Elem()) }

func appendFields(fs []field, prefix string, v reflect.Value) []field {
	for i := range v.NumField() {
		t := v.Type().Field(i)
		name, _, _ := strings.Cut(t.Tag.Get("yaml"), ",")
		switch {
		case t.Anonymous:
			fs = appendFields(fs, prefix, v.Field(i))
		case t.Type.Kind() == reflect.Struct:
			fs = appendFields(fs, prefix+name+".", v.Field(i))
		default:
			fs = append(fs, field{prefix + name, v.Field(i)})
		}
	}
	return fs
}

// Set changes one setting, given as key=value with the key of a nested one dotted,
// such as lps.lr=0.4. It does not look at what the value means: Validate does.
func (j *Job) Set(assignment string) error {
	key, text, ok := strings.Cut(assignment, "=")
	key, text = strings.TrimSpace(key), strings.TrimSpace(text)
	if !ok || key == "" {
		return fmt.Errorf("setting %q: want KEY=VALUE, such as K=16 or lps.lr=0.4", assignment)
	}
	for _, f := range j.fields() {
		if f.key == key {
			return f.set(text)
		}
	}
	return unknownKey(key)
}

// set parses text as f's type demands.
func (f field) set(text string) error {
	v := f.value
	var err error
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(text); err == nil {
			v.SetBool(b)
		}
	case reflect.Float64:
		var x float64
		if x, err = strconv.ParseFloat(text, 64); err == nil {
			v.SetFloat(x)
		}
	case reflect.Int, reflect.Int64:
		var n int64
		if n, err = strconv.ParseInt(digits(text), 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
		}
	case reflect.Uint64:
		var n uint64
		if n, err = strconv.ParseUint(digits(text), 10, 64); err == nil {
			v.SetUint(n)
		}
	}
	if err != nil {
		return f.wants(text)
	}
	return nil
}

// wants says that text is not of f's type.
func (f field) wants(text string) error {
	want := map[reflect.Kind]string{
		reflect.String:  "text",
		reflect.Bool:    "true or false",
		reflect.Float64: "a number",
		reflect.Int:     "a whole number",
		reflect.Int64:   "a whole number",
		reflect.Uint64:  "a whole number of 0 or more",
	}[f.value.Kind()]
	return fmt.Errorf("%s: %q, want %s", f.key, text, want)
}

// digits allows 4_000_000 for 4000000.
func digits(text string) string {
	if strings.Contains(text, "__") || strings.HasPrefix(text, "_") || strings.HasSuffix(text, "_") {
		return text
	}
	return strings.ReplaceAll(text, "_", "")
}

// unknownKey says that no setting has that key, and which one may be meant.
func unknownKey(key string) error {
	if below := keysBelow(key); len(below) > 0 {
		return fmt.Errorf("%s is a part of the manifest: set one of %s", key, strings.Join(below, ", "))
	}
	if near := Nearest(key, allKeys()); near != "" {
		return fmt.Errorf("unknown key %q: did you mean %s?", key, near)
	}
	return fmt.Errorf("unknown key %q: \"halos init\" prints all keys", key)
}

// allKeys returns the keys of all settings and of the parts that hold them.
func allKeys() []string {
	var keys []string
	for _, f := range new(Job).fields() {
		if part, _, ok := cutLast(f.key); ok && !slices.Contains(keys, part) {
			keys = append(keys, part)
		}
		keys = append(keys, f.key)
	}
	return keys
}

// keysBelow returns the settings of a part of the manifest.
func keysBelow(part string) []string {
	var keys []string
	for _, f := range new(Job).fields() {
		if strings.HasPrefix(f.key, part+".") {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// cutLast cuts a dotted key before its last name.
func cutLast(key string) (part, name string, ok bool) {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i], key[i+1:], true
	}
	return "", key, false
}

// Nearest returns the candidate that word is most likely a slip for, "" if none is
// close. A candidate's last name alone counts too: warmup stands for
// optimizer.warmup.
func Nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, least := "", 1+len(word)/3
	for _, c := range candidates {
		_, name, _ := cutLast(c)
		d := min(distance(word, strings.ToLower(c)), distance(word, strings.ToLower(name)))
		if cmp.Less(d, least) || d == least && best == "" && d < len(word) {
			best, least = c, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes must be put in, left out or replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for k := range len(b) {
			change := corner
			if a[i] != b[k] {
				change++
			}
			corner = row[k+1]
			row[k+1] = min(change, row[k]+1, corner+1)
		}
	}
	return row[len(b)]
}
