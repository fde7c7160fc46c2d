package configs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/pare-search/pare/eval/tune"
)

// Sources says where Load looks for settings. The zero value yields the defaults.
type Sources struct {
	File  string         // YAML, TOML or JSON by extension; "" reads no file
	Env   []string       // "NAME=value" as os.Environ returns them
	Flags *pflag.FlagSet // flags made by Flag and FlagOff; the others are ignored
}

// Origin says where a value comes from: "default", "file pare.yaml",
// "environment PARE_SEARCH_K" or "flag --prune".
type Origin string

// OriginDefault is the origin of keys that no source sets.
const OriginDefault Origin = "default"

// Loaded is a valid Config that knows where each value comes from.
type Loaded struct {
	Config Config
	// Certificate is the section certificate of the file, nil where it has none.
	// Whoever searches an index by it has to check that it is for that index.
	Certificate *tune.Certificate
	origins     map[string]Origin
}

// Origin returns where the key's value comes from, or "" when there is no such key.
func (l *Loaded) Origin(key string) Origin { return l.origins[key] }

// Load reads the sources and returns a valid configuration, or all the faults
// found, each an *Error that wraps ErrUnknownKey, ErrValue or ErrFile.
//
// Keys in files are matched without regard to case. An environment variable that
// is set but empty counts as unset. Lists in the environment are separated by
// commas. Of the environment, only names that begin with PARE_<SECTION>_ are
// Load's business; any of those that no key has is an error.
func Load(sources Sources) (*Loaded, error) {
	v := viper.New()
	origins := make(map[string]Origin)
	for _, k := range Keys() {
		v.SetDefault(k.Name, k.Default)
		origins[k.Name] = OriginDefault
	}

	loaded := &Loaded{origins: origins}
	layers := []func() ([]setting, error){
		func() ([]setting, error) {
			settings, certificate, err := readFile(sources.File)
			loaded.Certificate = certificate
			return settings, err
		},
		func() ([]setting, error) { return readEnv(sources.Env) },
		func() ([]setting, error) { return readFlags(sources.Flags) },
	}
	var faults []error
	for _, read := range layers {
		settings, err := read()
		faults = append(faults, err)
		for _, s := range settings {
			v.Set(s.key, s.value)
			origins[s.key] = s.origin
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}

	if err := v.UnmarshalExact(&loaded.Config, strict); err != nil {
		return nil, &Error{Err: fmt.Errorf("%w: %w", ErrValue, err)}
	}
	if err := loaded.Config.Validate(); err != nil {
		return nil, withOrigins(err, origins)
	}
	return loaded, nil
}

// setting is one typed value found in a source.
type setting struct {
	key    string
	value  any
	origin Origin
}

// readFile returns the settings of a file and its certificate, if it has one. It
// has a viper of its own, so that the file's keys can be told from the defaults.
func readFile(path string) ([]setting, *tune.Certificate, error) {
	if path == "" {
		return nil, nil, nil
	}
	origin := Origin("file " + path)
	ext := strings.ToLower(filepath.Ext(path)) // viper itself knows no .YAML
	switch ext {
	case ".yaml", ".yml", ".toml", ".json":
	default:
		return nil, nil, &Error{Origin: origin, Err: fmt.Errorf("%w: want .yaml, .toml or .json, got %q", ErrFile, ext)}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fileErrors(origin, nil, err)
	}
	v := viper.New()
	v.SetConfigType(ext[1:])
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		return nil, nil, fileErrors(origin, data, err)
	}

	certificate, err := readCertificate(v, origin)
	faults := []error{err}
	var settings []setting
	for _, name := range slices.Sorted(slices.Values(v.AllKeys())) {
		raw := v.Get(name)
		if raw == nil || inCertificate(name) {
			continue // "k:" with nothing behind it leaves the default
		}
		k, err := lookup(name)
		if err == nil {
			raw, err = fromFile(k, raw)
		}
		if err != nil {
			faults = append(faults, withOrigin(err, name, origin))
			continue
		}
		settings = append(settings, setting{name, raw, origin})
	}
	return settings, certificate, errors.Join(faults...)
}

// readEnv returns the settings of the environment. viper's own binding is not
// used because it leaves the text untyped and cannot report unknown variables.
func readEnv(environ []string) ([]setting, error) {
	keys := make(map[string]Key)
	for _, k := range Keys() {
		keys[k.Env()] = k
	}
	ours := func(name string) bool {
		return slices.ContainsFunc(sections(), func(s section) bool {
			return strings.HasPrefix(name, EnvPrefix+strings.ToUpper(s.name)+"_")
		})
	}

	var settings []setting
	var faults []error
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(entry, "=")
		if text == "" || !ours(name) {
			continue
		}
		k, known := keys[name]
		if !known {
			faults = append(faults, &Error{
				Origin: "environment", Key: name, Err: ErrUnknownKey,
				hint: didYouMean(nearest(name, slices.Sorted(maps.Keys(keys)))),
			})
			continue
		}
		origin := Origin("environment " + name)
		value, err := fromText(k, text)
		if err != nil {
			faults = append(faults, withOrigin(err, k.Name, origin))
			continue
		}
		settings = append(settings, setting{k.Name, value, origin})
	}
	return settings, errors.Join(faults...)
}

// readFlags returns the settings of the flags that the user gave.
func readFlags(flags *pflag.FlagSet) ([]setting, error) {
	given := boundFlags(flags)
	var settings []setting
	var faults []error
	for _, k := range Keys() {
		f, ok := given[k.Name]
		if !ok {
			continue
		}
		origin := Origin("flag --" + f.Name)
		if list, ok := f.Value.(pflag.SliceValue); ok {
			settings = append(settings, setting{k.Name, trimmed(list.GetSlice()), origin})
			continue
		}
		value, err := fromText(k, f.Value.String())
		if err != nil {
			faults = append(faults, withOrigin(err, k.Name, origin))
			continue
		}
		if _, off := f.Annotations[flagOff]; off {
			on, _ := value.(bool)
			value = !on
		}
		settings = append(settings, setting{k.Name, value, origin})
	}
	return settings, errors.Join(faults...)
}

// lookup returns the key of this lower-case name, or an error with the nearest
// name there is.
func lookup(name string) (Key, error) {
	var names []string
	for _, k := range Keys() {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	for _, s := range sections() {
		if s.name == name {
			return Key{}, &Error{Err: fmt.Errorf("%w: want a section with keys of its own", ErrValue)}
		}
	}
	return Key{}, &Error{Err: ErrUnknownKey, hint: didYouMean(nearest(name, names))}
}

// fromFile converts a parsed value to the type of the key. Only whole numbers
// pass from float64 (all that JSON has) to the integer types.
func fromFile(k Key, raw any) (any, error) {
	typ := reflect.TypeOf(k.Default)
	mismatch := fmt.Errorf("%w: want %s, got %s", ErrValue, typeName(typ), describe(raw))
	if f, ok := raw.(float64); ok && typ.Kind() != reflect.Float64 {
		if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return nil, mismatch
		}
		raw = int64(f)
	}
	value := reflect.New(typ)
	config := &mapstructure.DecoderConfig{Result: value.Interface()}
	strict(config)
	decoder, err := mapstructure.NewDecoder(config)
	if err != nil {
		return nil, err
	}
	if err := decoder.Decode(raw); err != nil {
		return nil, mismatch
	}
	return value.Elem().Interface(), nil
}

// fromText converts the text of a variable or flag to the type of the key.
func fromText(k Key, text string) (value any, err error) {
	switch k.Default.(type) {
	case string:
		value = text
	case bool:
		value, err = strconv.ParseBool(text)
	case int:
		value, err = strconv.Atoi(text)
	case uint64:
		value, err = strconv.ParseUint(text, 10, 64)
	case float64:
		value, err = strconv.ParseFloat(text, 64)
	case []string:
		value = trimmed(strings.Split(text, ","))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: want %s, got %q", ErrValue, typeName(reflect.TypeOf(k.Default)), text)
	}
	return value, nil
}

// trimmed removes the space that people put behind commas.
func trimmed(list []string) []string {
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// strict makes a decoder refuse what viper lets through by default: text for
// numbers, numbers for switches, single values for lists.
func strict(c *mapstructure.DecoderConfig) {
	c.WeaklyTypedInput = false
	c.DecodeHook = nil
}

// withOrigin names the place of an error found in one key.
func withOrigin(err error, key string, origin Origin) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Origin: origin, Key: key, Err: e.Err, hint: e.hint}
	}
	return &Error{Origin: origin, Key: key, Err: err}
}

// withOrigins names the place of every error that Validate joined.
func withOrigins(err error, origins map[string]Origin) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var faults []error
	for _, fault := range joined.Unwrap() {
		if e, ok := errors.AsType[*Error](fault); ok {
			fault = withOrigin(e, e.Key, origins[e.Key])
		}
		faults = append(faults, fault)
	}
	return errors.Join(faults...)
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number that is not negative"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of texts"
	default:
		return "a text"
	}
}

// describe shows a raw value as the user wrote it, quoted when it is text.
func describe(raw any) string {
	if s, ok := raw.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(raw)
}

func didYouMean(name string) string {
	if name == "" {
		return `"pare config show" lists every key`
	}
	return fmt.Sprintf("did you mean %s?", name)
}
