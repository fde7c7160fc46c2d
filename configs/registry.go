package configs

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/spf13/pflag"
)

// EnvPrefix begins the name of every environment variable that Load reads.
const EnvPrefix = "PARE_"

// Key describes one setting.
type Key struct {
	Name    string // section and name, such as "search.k"
	Doc     string // one line for people
	Default any    // string, bool, int, uint64, float64 or []string
	field   []int  // index path of the field in Config
}

// Env returns the environment variable of the key: PARE_SEARCH_K for "search.k".
func (k Key) Env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
}

// Value returns the key's value in c.
func (k Key) Value(c Config) any {
	return reflect.ValueOf(c).FieldByIndex(k.field).Interface()
}

// section is one nested struct of Config.
type section struct {
	name, doc string
	keys      []Key
}

// sections is the registry: all sections and keys in the order of Config's
// fields. Everything else that lists settings walks it.
var sections = sync.OnceValue(func() []section {
	defaults := Default()
	root := reflect.TypeFor[Config]()
	out := make([]section, 0, root.NumField())
	for i := range root.NumField() {
		field := root.Field(i)
		s := section{name: field.Tag.Get("mapstructure"), doc: field.Tag.Get("doc")}
		for j := range field.Type.NumField() {
			f := field.Type.Field(j)
			k := Key{
				Name:  s.name + "." + f.Tag.Get("mapstructure"),
				Doc:   f.Tag.Get("doc"),
				field: []int{i, j},
			}
			k.Default = k.Value(defaults)
			s.keys = append(s.keys, k)
		}
		out = append(out, s)
	}
	return out
})

// Keys returns every key in the order of Config's fields.
func Keys() []Key {
	var keys []Key
	for _, s := range sections() {
		keys = append(keys, s.keys...)
	}
	return keys
}

// flagKey is the annotation that ties a flag to its key.
const flagKey = "pare_config_key"

// Flag adds a flag to flags that sets the named key when it is given; its type,
// default and help text are the key's own. An empty shorthand means none. It
// panics when no key has this name, which is a mistake in the calling code.
func Flag(flags *pflag.FlagSet, key, name, shorthand string) {
	k, err := lookup(key)
	if err != nil {
		panic(fmt.Sprintf("configs: flag --%s: %v %q", name, ErrUnknownKey, key))
	}
	switch def := k.Default.(type) {
	case string:
		flags.StringP(name, shorthand, def, k.Doc)
	case bool:
		flags.BoolP(name, shorthand, def, k.Doc)
	case int:
		flags.IntP(name, shorthand, def, k.Doc)
	case uint64:
		flags.Uint64P(name, shorthand, def, k.Doc)
	case float64:
		flags.Float64P(name, shorthand, def, k.Doc)
	case []string:
		flags.StringSliceP(name, shorthand, def, k.Doc)
	}
	flags.Lookup(name).Annotations = map[string][]string{flagKey: {key}}
}

// flagOff is the annotation of a flag that switches its key off.
const flagOff = "pare_config_off"

// FlagOff adds a flag to flags that sets the named switch to false: "--no-text"
// for "index.store_text". It panics when no switch has this name, which is a
// mistake in the calling code.
func FlagOff(flags *pflag.FlagSet, key, name, usage string) {
	k, err := lookup(key)
	if _, isSwitch := k.Default.(bool); err != nil || !isSwitch {
		panic(fmt.Sprintf("configs: flag --%s: %q is no switch", name, key))
	}
	flags.Bool(name, false, usage)
	flags.Lookup(name).Annotations = map[string][]string{flagKey: {key}, flagOff: nil}
}

// boundFlags returns the flags that the user gave, by key.
func boundFlags(flags *pflag.FlagSet) map[string]*pflag.Flag {
	given := make(map[string]*pflag.Flag)
	if flags == nil {
		return given
	}
	flags.Visit(func(f *pflag.Flag) {
		for _, key := range f.Annotations[flagKey] {
			given[key] = f
		}
	})
	return given
}

// nearest returns the candidate with the smallest edit distance to name, or ""
// when even that one is not close enough to be a slip of the hand.
func nearest(name string, candidates []string) string {
	best, bestDistance := "", 1+max(2, len(name)/4)
	for _, c := range candidates {
		if d := editDistance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance of a and b in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
